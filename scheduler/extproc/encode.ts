import type { HeaderChange, Metadata, MetadataValue } from "../request/types.ts";
import { BackwardWriter } from "./wire.ts";

/** Largest body part of one message: some proxies refuse messages of more than 64 KiB. */
export const MAX_CHUNK_BYTES = 62_000;

/** Field numbers in `ProcessingResponse` of the answers to each message kind. */
export const ANSWER = {
  requestHeaders: 1,
  responseHeaders: 2,
  requestBody: 3,
  responseBody: 4,
  requestTrailers: 5,
  responseTrailers: 6,
} as const;

/** Room for the fields around a header or a chunk. */
const OVERHEAD = 64;

/** Changes of headers, and whether the proxy has to choose its route anew. */
export interface Mutation {
  readonly set: readonly HeaderChange[];
  readonly remove: readonly string[];
  readonly clearRouteCache: boolean;
}

/** What a direct answer to the client says. */
export interface ImmediateAnswer {
  readonly status: number;
  readonly headers: readonly HeaderChange[];
  readonly body: string;
}

/** Nothing changes. */
export const NO_MUTATION: Mutation = { set: [], remove: [], clearRouteCache: false };

/**
 * Collects the answers that go out together as framed gRPC messages in one buffer. Since the buffer grows towards its
 * start, add the last answer first.
 */
export class AnswerWriter {
  readonly #writer: BackwardWriter;

  /** `bodyBytes` is the size of the bodies to come. */
  constructor(bodyBytes = 0) {
    this.#writer = new BackwardWriter(512 + bodyBytes + OVERHEAD * Math.ceil(bodyBytes / MAX_CHUNK_BYTES));
  }

  /** HeadersResponse, with dynamic metadata where given. */
  headers(field: number, mutation: Mutation, metadata?: Metadata): void {
    const writer = this.#writer;
    const message = writer.mark();
    writeMetadata(writer, metadata);
    const answer = writer.mark();
    writeCommonResponse(writer, mutation);
    writer.close(field, answer);
    writer.frame(message);
  }

  /** BodyResponse messages of a full-duplex streamed body; an empty body is one empty message. Metadata goes with the last. */
  streamedBody(field: number, body: Buffer, endOfStream: boolean, metadata?: Metadata): void {
    const count = Math.max(1, Math.ceil(body.length / MAX_CHUNK_BYTES));
    for (let index = count - 1; index >= 0; index--) {
      const chunk = body.subarray(index * MAX_CHUNK_BYTES, (index + 1) * MAX_CHUNK_BYTES);
      const isLast = index === count - 1;
      this.#streamedChunk(field, chunk, endOfStream && isLast, isLast ? metadata : undefined);
    }
  }

  /** BodyResponse of the other modes: one for each body message, with the body only where it changed. */
  body(field: number, mutation: Mutation, body?: Buffer, metadata?: Metadata): void {
    const writer = this.#writer;
    const message = writer.mark();
    writeMetadata(writer, metadata);
    const answer = writer.mark();
    writeCommonResponse(writer, mutation, body);
    writer.close(field, answer);
    writer.frame(message);
  }

  /** TrailersResponse without changes of trailers. */
  trailers(field: number, metadata?: Metadata): void {
    const message = this.#writer.mark();
    writeMetadata(this.#writer, metadata);
    this.#writer.close(field, this.#writer.mark());
    this.#writer.frame(message);
  }

  /** ImmediateResponse {1 status {1 code}, 2 headers, 3 body}: the proxy answers the client itself. */
  immediate(answer: ImmediateAnswer): void {
    const writer = this.#writer;
    const message = writer.mark();
    writer.text(3, answer.body);
    if (answer.headers.length > 0) writeHeaderMutation(writer, 2, answer.headers, []);
    const status = writer.mark();
    writer.uint(1, answer.status);
    writer.close(1, status);
    writer.close(7, message);
    writer.frame(message);
  }

  finish(): Buffer {
    return this.#writer.finish();
  }

  /** BodyResponse {1 CommonResponse {3 BodyMutation {3 StreamedBodyResponse {1 body, 2 end_of_stream}}}}. */
  #streamedChunk(field: number, chunk: Buffer, endOfStream: boolean, metadata: Metadata | undefined): void {
    const writer = this.#writer;
    const message = writer.mark();
    writeMetadata(writer, metadata);
    const mark = writer.mark();
    if (endOfStream) writer.uint(2, 1);
    if (chunk.length > 0) writer.bytes(1, chunk);
    writer.close(3, mark);
    writer.close(3, mark);
    writer.close(1, mark);
    writer.close(field, mark);
    writer.frame(message);
  }
}

/** Field 8 of ProcessingResponse. */
function writeMetadata(writer: BackwardWriter, metadata: Metadata | undefined): void {
  if (metadata !== undefined) writeEmbeddedStruct(writer, 8, metadata);
}

/** Field 1 of every answer: CommonResponse {2 header_mutation, 3 body_mutation {1 body}, 5 clear_route_cache}. */
function writeCommonResponse(writer: BackwardWriter, mutation: Mutation, body?: Buffer): void {
  const common = writer.mark();
  if (mutation.clearRouteCache) writer.uint(5, 1);
  if (body !== undefined) {
    const mark = writer.mark();
    writer.bytes(1, body);
    writer.close(3, mark);
  }
  if (mutation.set.length > 0 || mutation.remove.length > 0)
    writeHeaderMutation(writer, 2, mutation.set, mutation.remove);
  writer.close(1, common);
}

/** HeaderMutation {1 set_headers {1 header {1 key, 3 raw_value}}, 2 remove_headers}. */
function writeHeaderMutation(
  writer: BackwardWriter,
  field: number,
  set: readonly HeaderChange[],
  remove: readonly string[],
): void {
  const mutation = writer.mark();
  for (const name of remove.toReversed()) writer.text(2, name);
  for (let index = set.length - 1; index >= 0; index--) {
    const [name, value] = set[index]!;
    const option = writer.mark();
    writer.text(3, value);
    writer.text(1, name);
    writer.close(1, option);
    writer.close(1, option);
  }
  writer.close(field, mutation);
}

function writeEmbeddedStruct(writer: BackwardWriter, field: number, fields: ReadonlyMap<string, MetadataValue>): void {
  const struct = writer.mark();
  for (const [key, value] of [...fields].reverse()) {
    const entry = writer.mark();
    writeValue(writer, value);
    writer.text(1, key);
    writer.close(1, entry);
  }
  writer.close(field, struct);
}

/** google.protobuf.Value as field 2 of a map entry. */
function writeValue(writer: BackwardWriter, value: MetadataValue): void {
  const mark = writer.mark();
  if (typeof value === "string") writer.text(3, value);
  else if (typeof value === "number") writer.double(2, value);
  else writeEmbeddedStruct(writer, 5, value);
  writer.close(2, mark);
}
