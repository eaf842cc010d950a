import type { IncomingMessage, ServerResponse } from "node:http";
import { type Server, createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { isObject } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { type Logger, describeError } from "../../telemetry/log.ts";
import { type WebhookMetrics, meter } from "./metrics.ts";
import {
  type ReviewContext,
  type Reviewer,
  defaultService,
  reviewAdmission,
  reviewConfig,
  reviewConversion,
  reviewService,
} from "./review.ts";

/** A review carries one object, or a page of objects to convert. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Path of the conversion webhook. */
export const CONVERSION_PATH = "/convert";

const RESOURCES = { service: "llminferenceservice", config: "llminferenceserviceconfig" } as const;

/** Path of an admission webhook, as KServe spells it. */
export function webhookPath(verb: "mutate" | "validate", version: string, resource: keyof typeof RESOURCES): string {
  return `/${verb}-serving-kserve-io-${version}-${RESOURCES[resource]}`;
}

const REVIEWERS: ReadonlyMap<string, Reviewer> = new Map(
  ["v1alpha1", "v1alpha2"].flatMap((version): [string, Reviewer][] => [
    [webhookPath("mutate", version, "service"), defaultService],
    [webhookPath("validate", version, "service"), reviewService],
    [webhookPath("validate", version, "config"), reviewConfig],
  ]),
);

/** A key and a certificate in PEM. */
export interface ServingPair {
  readonly privateKey: string;
  readonly certificate: string;
}

/** A listening webhook server. */
export interface WebhookServer {
  readonly port: number;
  /** Serves another certificate from the next connection on. */
  setCertificate(pair: ServingPair): void;
  close(): Promise<void>;
}

/** Starts the HTTPS server of the admission and conversion webhooks. Errors: those of listening. */
export async function startWebhookServer(options: {
  readonly host: string;
  readonly port: number;
  readonly pair: ServingPair;
  readonly context: ReviewContext;
  readonly logger: Logger;
  readonly metrics?: WebhookMetrics | undefined;
}): Promise<WebhookServer> {
  const { pair, context, logger, metrics } = options;
  const tls = ({ privateKey, certificate }: ServingPair) => ({ key: privateKey, cert: certificate });
  const server = createServer({ ...tls(pair), minVersion: "TLSv1.2" }, (request, response) => {
    if (metrics !== undefined) meter(metrics, webhookOf(request), response);
    void respond(request, response, context).catch((error: unknown) => {
      logger.warn("webhook request failed", { path: request.url, error: describeError(error) });
      if (!response.headersSent) response.writeHead(400, { "content-type": "text/plain" });
      response.end(describeError(error));
    });
  });
  await listen(server, options.port, options.host);
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (next) => server.setSecureContext(tls(next)),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const pathOf = (request: IncomingMessage): string => (request.url ?? "").split("?")[0] ?? "";

/** The path of a webhook as a label; other paths are one. */
function webhookOf(request: IncomingMessage): string {
  const path = pathOf(request);
  return path === CONVERSION_PATH || REVIEWERS.has(path) ? path : "other";
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** The answer to a review at a path; undefined where no webhook is. */
export function answerReview(path: string, review: JsonObject, context: ReviewContext): JsonObject | undefined {
  if (path === CONVERSION_PATH) return reviewConversion(review);
  const reviewer = REVIEWERS.get(path);
  return reviewer === undefined ? undefined : reviewAdmission(review, reviewer, context);
}

async function respond(request: IncomingMessage, response: ServerResponse, context: ReviewContext): Promise<void> {
  const path = pathOf(request);
  const answer = answerReview(path, await readReview(request), context);
  if (answer === undefined) {
    response.writeHead(404).end();
    return;
  }
  const body = Buffer.from(JSON.stringify(answer));
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
}

async function readReview(request: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    size += bytes.length;
    if (size > MAX_BODY_BYTES) throw new Error(`review larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(bytes);
  }
  const review: Json = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  if (!isObject(review)) throw new Error("a review must be a JSON object");
  return review;
}
