import { FRAME_HEADER_BYTES, WIRE, WireError, WireReader } from "../extproc/wire.ts";
import type { ParsedBody } from "../request/types.ts";
import { badRequest } from "./apis.ts";

/** The message in the first frame of a gRPC request body. Throws `RequestError` where it is cut or compressed. */
export function firstMessage(body: Buffer): Buffer {
  if (body.length < FRAME_HEADER_BYTES) throw badRequest("invalid gRPC request: message is incomplete");
  if (body[0] !== 0) throw badRequest("invalid gRPC request: compressed messages are not supported");
  const end = FRAME_HEADER_BYTES + body.readUInt32BE(1);
  if (end > body.length) throw badRequest("invalid gRPC request: message is incomplete");
  return body.subarray(FRAME_HEADER_BYTES, end);
}

/** Turns what is wrong with a message into the refusal of the request. */
export function decoded<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof WireError) throw badRequest(`invalid gRPC request: ${error.message}`);
    throw error;
  }
}

/**
 * A request of `vllm.grpc.engine.VllmEngine`: Generate {2 tokenized {1 text, 2 ids}, 3 text, 4 sampling {8 max_tokens},
 * 5 stream} or Embed {2 tokenized}.
 */
export class VllmGrpcBody implements ParsedBody {
  readonly api: "vllm-grpc" | "vllm-grpc-embed";
  readonly model = "";
  readonly cacheSalt = "";
  readonly bytes: Buffer;
  stream = false;
  maxOutputTokens: number | undefined;
  #text: Buffer | undefined;
  #ids: Uint32Array | undefined;

  constructor(api: "vllm-grpc" | "vllm-grpc-embed", bytes: Buffer) {
    this.api = api;
    this.bytes = bytes;
    const message = firstMessage(bytes);
    decoded(() => this.#read(new WireReader(message)));
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  promptBytes(): readonly Buffer[] {
    return this.#ids === undefined && this.#text !== undefined ? [this.#text] : [];
  }

  media(): readonly [] {
    return [];
  }

  promptTokenIds(): readonly Uint32Array[] | undefined {
    return this.#ids === undefined ? undefined : [this.#ids];
  }

  json(): undefined {
    return undefined;
  }

  #read(reader: WireReader): void {
    while (!reader.done) {
      const tag = reader.varint();
      if (tag === 0x12) this.#ids = readIds(reader.message());
      else if (tag === 0x1a) this.#text = reader.slice();
      else if (tag === 0x22) this.maxOutputTokens = readMaxTokens(reader.message());
      else if (tag === 0x28) this.stream = reader.varint() !== 0;
      else reader.skip(tag & 7);
    }
  }
}

/** TokenizedInput {2 repeated uint32}, packed or not. */
function readIds(reader: WireReader): Uint32Array | undefined {
  const ids: number[] = [];
  while (!reader.done) {
    const tag = reader.varint();
    if (tag >>> 3 !== 2) reader.skip(tag & 7);
    else if ((tag & 7) === WIRE.varint) ids.push(reader.varint());
    else for (const packed = reader.message(); !packed.done; ) ids.push(packed.varint());
  }
  return ids.length === 0 ? undefined : Uint32Array.from(ids);
}

/** SamplingParams {8 max_tokens}. */
function readMaxTokens(reader: WireReader): number | undefined {
  let limit: number | undefined;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x40) limit = reader.varint();
    else reader.skip(tag & 7);
  }
  return limit;
}

/** The JSON of a Vertex AI prediction request {2 HttpBody {2 data}}. Throws `RequestError` where there is none. */
export function vertexJson(body: Buffer): Buffer {
  return decoded(() => memberBytes(memberBytes(firstMessage(body), 2), 2));
}

function memberBytes(message: Buffer, field: number): Buffer {
  const reader = new WireReader(message);
  let found = Buffer.alloc(0);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === field * 8 + WIRE.bytes) found = reader.slice() as Buffer<ArrayBuffer>;
    else reader.skip(tag & 7);
  }
  return found;
}
