import type { ServerResponse } from "node:http";
import type { JsonObject } from "../../crds/schema/types.ts";
import { ApiError, badRequest } from "./errors.ts";
import { at, listOf, nameOf, namespaceOf, textOf } from "./objects.ts";

/** What `kubectl logs` asks for (PodLogOptions of core v1). */
export interface PodLogRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly follow: boolean;
  /** Of the run before the last restart. */
  readonly previous: boolean;
  readonly timestamps: boolean;
  /** Lines from the end; undefined for all. */
  readonly tailLines: number | undefined;
  /** Only lines from this time on, in ms since the epoch. */
  readonly sinceMs: number | undefined;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

/** Answers `pods/log` with pieces of text; with `follow` it goes on until the container ends or the signal aborts. */
export type PodLogs = (request: PodLogRequest) => AsyncIterable<string> | Promise<AsyncIterable<string>>;

function containerOf(pod: JsonObject, wanted: string | null): string {
  const names = ["containers", "initContainers"].flatMap((list) =>
    listOf(at(pod, "spec", list)).map((item) => textOf(at(item, "name"))),
  );
  const main = listOf(at(pod, "spec", "containers")).length;
  const container = wanted ?? (main === 1 ? names[0] : undefined);
  if (container === undefined)
    throw badRequest(`a container name must be specified for pod ${nameOf(pod)}, choose one of: [${names.join(" ")}]`);
  if (!names.includes(container)) throw badRequest(`container ${container} is not valid for pod ${nameOf(pod)}`);
  return container;
}

/** PodLogOptions of a URL. */
function selectionOf(query: URLSearchParams): Omit<PodLogRequest, "namespace" | "pod" | "container" | "signal"> {
  const number = (name: string): number | undefined => (query.has(name) ? Number(query.get(name)) : undefined);
  const seconds = number("sinceSeconds");
  const time = query.get("sinceTime");
  const since = seconds === undefined ? undefined : Date.now() - seconds * 1000;
  return {
    follow: query.get("follow") === "true",
    previous: query.get("previous") === "true",
    timestamps: query.get("timestamps") === "true",
    tailLines: number("tailLines"),
    sinceMs: since ?? (time === null ? undefined : Date.parse(time)),
  };
}

/** Answers with the log of a container, as the options of the URL choose. Resolves when it ended or the client left. */
export async function sendLog(
  response: ServerResponse,
  podLogs: PodLogs,
  of: Pick<PodLogRequest, "namespace" | "pod" | "container">,
  query: URLSearchParams,
): Promise<void> {
  const ended = new AbortController();
  response.once("close", () => ended.abort());
  const pieces = await podLogs({ ...of, ...selectionOf(query), signal: ended.signal });
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  response.flushHeaders();
  for await (const piece of pieces) {
    if (ended.signal.aborted) return;
    if (!response.write(piece))
      await new Promise<void>((resolve) => response.once("drain", resolve).once("close", resolve));
  }
  response.end();
}

/** Serves `pods/log`. Errors: 400 for a container that is not there, 501 where nobody runs pods. */
export async function serveLog(
  response: ServerResponse,
  pod: JsonObject,
  query: URLSearchParams,
  podLogs: PodLogs | undefined,
): Promise<void> {
  const container = containerOf(pod, query.get("container"));
  if (podLogs === undefined) throw new ApiError(501, "NotImplemented", "no pod runner keeps logs");
  await sendLog(response, podLogs, { namespace: namespaceOf(pod), pod: nameOf(pod), container }, query);
}
