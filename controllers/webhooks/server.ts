import type { IncomingMessage, ServerResponse } from "node:http";
import { type Server, createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { isObject } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { type Logger, describeError } from "../../telemetry/log.ts";
import { BodyReader, BodyRefusal } from "./body.ts";
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

/** An admission review carries an object and what it was, which etcd bounds to 1.5 MiB each; controller-runtime has the same limit. */
const MAX_ADMISSION_BYTES = 7 * 1024 * 1024;
/** A conversion carries all objects of a list. */
const MAX_CONVERSION_BYTES = 64 * 1024 * 1024;
/** Bodies that are being read, in all. */
const MAX_HELD_BYTES = 128 * 1024 * 1024;
/** API servers open one for each review under way, and wait for its answer for at most 30 s. */
const LIMITS = {
  maxConnections: 1024,
  handshakeTimeoutMs: 10_000,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** Longer than API servers keep an idle connection, so that none sends a review into one that is being closed. */
  keepAliveTimeout: 100_000,
};
/** Time for reviews under way at the end. */
const CLOSE_MS = 2_000;

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
  const bodies = new BodyReader(MAX_HELD_BYTES);
  const { maxConnections, handshakeTimeoutMs, ...timeouts } = LIMITS;
  const tls = ({ privateKey, certificate }: ServingPair) => ({ key: privateKey, cert: certificate });
  const secure = { ...tls(pair), minVersion: "TLSv1.2", handshakeTimeout: handshakeTimeoutMs } as const;
  const server = createServer({ ...secure, ...timeouts }, (request, response) => {
    if (metrics !== undefined) meter(metrics, webhookOf(request), response);
    void respond(request, response, context, bodies).catch((error: unknown) => {
      logger.warn("webhook request failed", { path: pathOf(request), error: describeError(error) });
      const status = error instanceof BodyRefusal ? error.status : 400;
      // What is left of a body is not read: the connection ends with the answer.
      if (!response.headersSent) response.writeHead(status, { "content-type": "text/plain", connection: "close" });
      response.end(describeError(error));
    });
  });
  server.maxConnections = maxConnections;
  await listen(server, options.port, options.host);
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (next) => server.setSecureContext(tls(next)),
    close: async () => {
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeIdleConnections();
      });
      clearTimeout(timer);
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

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  context: ReviewContext,
  bodies: BodyReader,
): Promise<void> {
  const path = pathOf(request);
  if (webhookOf(request) === "other") throw new BodyRefusal(404, "there is no webhook of that path");
  if (request.method !== "POST") throw new BodyRefusal(405, "reviews come by POST");
  const limit = path === CONVERSION_PATH ? MAX_CONVERSION_BYTES : MAX_ADMISSION_BYTES;
  const answer = answerReview(path, parseReview(await bodies.read(request, limit)), context);
  const body = Buffer.from(JSON.stringify(answer));
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
}

function parseReview(body: Buffer): JsonObject {
  const review: Json = JSON.parse(body.toString("utf8"));
  if (!isObject(review)) throw new Error("a review must be a JSON object");
  return review;
}
