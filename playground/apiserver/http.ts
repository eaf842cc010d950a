import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { JsonObject } from "../../crds/schema/types.ts";
import { YamlError, dumpYaml, parseYaml } from "../../kube/yaml.ts";
import { badRequest, tooLarge, unsupportedMediaType } from "./errors.ts";
import { isObject } from "./objects.ts";
import { PROTOBUF, decodeProtobuf } from "./protobuf.ts";

/** Largest body of a request, as at the real API server. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** Answers from this size on are compressed for clients that take it. */
const GZIP_BYTES = 128 * 1024;

/** Reads a body. Errors: 413. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) reject(tooLarge(MAX_BODY_BYTES));
      else chunks.push(chunk);
    });
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", reject);
  });
}

/** The media type of a body without its parameters; JSON where the header is absent. */
export function mediaType(request: IncomingMessage): string {
  return (request.headers["content-type"] ?? "application/json").split(";")[0]!.trim().toLowerCase();
}

/** Decodes JSON, or YAML where the type says so. Errors: 400. */
export function decode(body: Buffer, type: string): unknown {
  const text = body.toString("utf8");
  try {
    return type.endsWith("yaml") ? parseYamlOrJson(text) : (JSON.parse(text) as unknown);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof YamlError)
      throw badRequest(`the body cannot be read: ${error.message}`);
    throw error;
  }
}

/** Levels of nesting up to which JSON is read as such. */
const MAX_JSON_DEPTH = 50;

/** At least as many as a JSON text has: brackets within strings count, too. */
function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (let index = 0; index < text.length; index++) {
    // This bit makes brackets braces.
    const brace = text.charCodeAt(index) | 0x20;
    if (brace === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (brace === 0x7d) depth--;
  }
  return deepest;
}

/**
 * Bodies declared as YAML are mostly JSON, which is read a hundred times as fast. What another writer than `JSON.stringify`
 * wrote may hold what YAML refuses, such as a key twice.
 */
function parseYamlOrJson(text: string): unknown {
  if (!text.startsWith("{") || depthOf(text) > MAX_JSON_DEPTH) return parseYaml(text);
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text ? value : parseYaml(text);
  } catch (error) {
    if (error instanceof SyntaxError) return parseYaml(text);
    throw error;
  }
}

/** Decodes the object of a create or update. Errors: 400, 415. */
export function decodeObject(body: Buffer, type: string): JsonObject {
  if (type === PROTOBUF) return decodeProtobuf(body);
  if (type !== "application/json" && type !== "application/yaml")
    throw unsupportedMediaType(
      "accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    );
  const value = decode(body, type);
  if (!isObject(value)) throw badRequest("the body of the request is no object");
  return value;
}

/** Writes the Warning headers (RFC 7234) that kubectl prints. */
export function setWarnings(response: ServerResponse, warnings: readonly string[]): void {
  const texts = [...new Set(warnings)].map((text) => `299 - ${JSON.stringify(text.replaceAll(/[^\x20-\x7e]/g, " "))}`);
  if (texts.length > 0) response.setHeader("warning", texts);
}

/** Answers with an object, compressed when it is large and the client takes it. */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  object: JsonObject,
  options: { readonly yaml?: boolean; readonly contentType?: string } = {},
): void {
  const text = options.yaml === true ? dumpYaml(object) : JSON.stringify(object);
  sendText(
    request,
    response,
    code,
    text,
    options.contentType ?? (options.yaml === true ? "application/yaml" : "application/json"),
  );
}

/** Answers with a text. */
export function sendText(
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  text: string,
  type: string,
): void {
  const compress = text.length >= GZIP_BYTES && String(request.headers["accept-encoding"]).includes("gzip");
  const body = compress ? gzipSync(text, { level: 1 }) : Buffer.from(text);
  response.writeHead(code, {
    "content-type": type,
    "content-length": body.length,
    "cache-control": "no-cache, private",
    ...(compress ? { "content-encoding": "gzip" } : {}),
  });
  response.end(body);
}
