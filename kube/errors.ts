import { KubeError, type KubeObject, type StatusDetails, type WatchEvent } from "./types.ts";

/** A request as messages name it. */
interface Named {
  readonly method: string;
  readonly path: string;
}

interface Status {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: StatusDetails;
}

/** No answer, or half of one. */
export function connectionFailed(call: Named, cause: unknown): KubeError {
  const timedOut = cause instanceof Error && /timed out/.test(cause.message);
  const reason = timedOut ? "Timeout" : "ConnectionFailed";
  return new KubeError({ code: 0, reason, message: `${call.method} ${call.path} failed`, cause });
}

/** Bytes that are not what the API promises. */
export function brokenStream(message: string, cause: unknown): KubeError {
  return new KubeError({ code: 0, reason: "BrokenStream", message, cause });
}

/** The refusal in an answer: its Status object where the body is one. */
export function statusError(code: number, body: string, retryAfter: string | undefined, call: Named): KubeError {
  const status = parseStatus(body);
  const seconds = Number(retryAfter);
  return new KubeError({
    code: status.code ?? code,
    reason: status.reason ?? "Unknown",
    message: status.message ?? `${call.method} ${call.path}: HTTP ${code} ${body.slice(0, 200)}`,
    details: status.details,
    retryAfterSeconds: retryAfter === undefined || Number.isNaN(seconds) ? undefined : seconds,
  });
}

function parseStatus(body: string): Status {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && "kind" in value && value.kind === "Status"
      ? (value as Status)
      : {};
  } catch {
    return {};
  }
}

/** One line of a watch. Throws `KubeError`: `BrokenStream` for damage, the server's own for an ERROR line. */
export function decodeEvent(line: string, call: Named): WatchEvent {
  const event = parseEvent(line, call);
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type: event.type, object: event.object as KubeObject };
    case "BOOKMARK":
      return { type: "BOOKMARK", resourceVersion: (event.object as KubeObject).metadata.resourceVersion ?? "" };
    case "ERROR": {
      const { code = 500, reason = "Unknown", message = "watch failed", details } = event.object as Status;
      throw new KubeError({ code, reason, message, details });
    }
    default:
      throw brokenStream(`${call.path}: watch event of type ${JSON.stringify(event.type)}`, undefined);
  }
}

function parseEvent(line: string, call: Named): { type: unknown; object: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw brokenStream(`${call.path}: a line of the watch is not JSON`, error);
  }
  if (typeof value === "object" && value !== null && "type" in value && "object" in value) {
    const { type, object } = value;
    const named = typeof object === "object" && object !== null && (type === "ERROR" || "metadata" in object);
    if (named) return { type, object };
  }
  throw brokenStream(`${call.path}: a line of the watch is not an event`, undefined);
}
