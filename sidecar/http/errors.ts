import type { ServerResponse } from "node:http";

/** Kinds of errors that the sidecar itself answers, with their status. */
const STATUS = {
  BadRequestError: 400,
  RequestEntityTooLarge: 413,
  InternalServerError: 500,
  BadGateway: 502,
  ServiceUnavailable: 503,
} as const;

/** A kind of error. */
export type ErrorType = keyof typeof STATUS;

/** A request that the sidecar cannot serve: what the client is told. */
export class RequestError extends Error {
  readonly type: ErrorType;

  constructor(type: ErrorType, message: string, options?: ErrorOptions) {
    super(message, options);
    this.type = type;
  }
}

/** Answers with an error as vLLM writes them. A response that has begun is cut off, so that nobody takes it for whole. */
export function sendError(response: ServerResponse, { type, message }: RequestError): void {
  const code = STATUS[type];
  const body = JSON.stringify({ object: "error", message, type, param: null, code });
  sendText(response, code, `${body}\n`, "application/json");
}

/** Answers with a text. */
export function sendText(response: ServerResponse, status: number, text: string, contentType: string): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(status, { "content-type": contentType, "content-length": Buffer.byteLength(text) }).end(text);
}
