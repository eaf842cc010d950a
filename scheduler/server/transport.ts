import type { MemoryBudget } from "./memory-budget.ts";

/** gRPC as the services above it see it: byte messages in, framed bytes out. */

/** Status codes of gRPC that this server sends (github.com/grpc/grpc/blob/master/doc/statuscodes.md). */
export const GRPC_STATUS = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** One call, as its handler answers it. Both methods do nothing once the call is over. */
export interface Call {
  /** Sends one or more messages, each with its gRPC frame header. The buffer must not change afterwards. */
  send(frames: Buffer): void;
  /** Ends the call with a status. */
  end(status: number, message?: string): void;
  /**
   * Counts memory that the handler keeps of what it received, or, where negative, no longer keeps; the call's end frees the
   * rest. False, and nothing counted, where the connection or the server holds too much: what is kept has to be let go.
   */
  hold(bytes: number): boolean;
}

/** Receives what happens on one call. */
export interface CallHandler {
  /** A whole message. Its memory belongs to the handler. */
  onMessage(message: Buffer): void;
  /** The client sends no more. */
  onHalfClose(): void;
  /** The call ended without `end`: the client or the connection went away. Nothing follows. */
  onCancel(): void;
}

/** Starts the handling of a call. */
export type Method = (call: Call) => CallHandler;

/** Methods by path, such as `/grpc.health.v1.Health/Check`. */
export type Methods = ReadonlyMap<string, Method>;

/** Key pair and limits of a TLS listener. */
export interface TlsSettings {
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly privateKey: string;
  readonly minVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";
  /** OpenSSL cipher list. */
  readonly ciphers?: string;
}

/** What a server is started with. */
export interface ServerSettings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly methods: Methods;
  /** Absent: plain text HTTP/2 with prior knowledge. */
  readonly tls?: TlsSettings | undefined;
  /** Bytes of one message; a larger one ends its call with RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
  /** Bytes that all clients together can make the server hold; one connection gets half of it. */
  readonly maxHeldBytes: number;
}

/** A running server. */
export interface GrpcServer {
  readonly port: number;
  /** What clients make it hold. */
  readonly memory: Pick<MemoryBudget, "usedBytes" | "refusals">;
  /** Uses another key pair for connections from now on. No effect on a plain server. Throws for a bad pair. */
  setCertificate(certificate: string, privateKey: string): void;
  /** Stops accepting, lets calls end for at most `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}
