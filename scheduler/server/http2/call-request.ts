import type { RequestHead } from "./request-head.ts";

const CONTENT_TYPE = "application/grpc";
/** Milliseconds of the units of `grpc-timeout`. */
const UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;

/** What the headers of a gRPC call say (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export interface CallRequest {
  readonly path: string;
  /** Whether messages may be compressed by gzip. */
  readonly gzip: boolean;
  /** Announced bytes of content; −1 where there is no such announcement. */
  readonly announced: number;
  /** Time that the call may take, ms; undefined: any. */
  readonly timeoutMs: number | undefined;
}

/** Reads a well-formed header section; an HTTP status for one that is no gRPC call. */
export function readCallRequest(head: RequestHead): CallRequest | number {
  if (head.tooLarge) return 431;
  if (head.get(":method") !== "POST" || head.get("content-type")?.startsWith(CONTENT_TYPE) !== true) return 415;
  return {
    path: head.get(":path") ?? "",
    gzip: head.get("grpc-encoding") === "gzip",
    announced: contentLength(head.get("content-length")),
    timeoutMs: timeoutOf(head.get("grpc-timeout")),
  };
}

const contentLength = (text: string | undefined): number =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : -1;

/** A timeout that cannot be read is none: the client keeps its own. */
function timeoutOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, amount, unit = ""] = TIMEOUT.exec(text) ?? [];
  return amount === undefined ? undefined : Number(amount) * UNITS_MS[unit]!;
}
