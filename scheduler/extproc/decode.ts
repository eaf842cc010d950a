import type { AttributeValue } from "../request/types.ts";
import { WIRE, WireError, WireReader } from "./wire.ts";

/** What of an HTTP exchange a message carries. `other` is a message kind that this server does not know. */
export type MessageKind =
  | "requestHeaders"
  | "requestBody"
  | "requestTrailers"
  | "responseHeaders"
  | "responseBody"
  | "responseTrailers"
  | "other";

/** `envoy.extensions.filters.http.ext_proc.v3.ProcessingMode.BodySendMode`. */
export const BODY_MODE = {
  none: 0,
  streamed: 1,
  buffered: 2,
  bufferedPartial: 3,
  fullDuplexStreamed: 4,
  grpc: 5,
} as const;

/** Whether answers of a mode are streamed on their own account, not one for each message. */
export const isDuplex = (mode: number): boolean => mode === BODY_MODE.fullDuplexStreamed || mode === BODY_MODE.grpc;

/** What the proxy tells about endpoints in `metadata_context`. */
export interface RoutingMetadata {
  /** Endpoints that the choice is limited to; undefined: no limit. */
  readonly subset: readonly string[] | undefined;
  /** `ip:port` that answered, in the response phase. */
  readonly served: string | undefined;
}

/** A decoded `envoy.service.ext_proc.v3.ProcessingRequest`. */
export interface ProcessingMessage {
  readonly kind: MessageKind;
  /** Lower-case names, last of duplicates; empty for bodies. */
  readonly headers: Map<string, string>;
  /** Bytes of a body message, shared with the message. */
  readonly body: Buffer;
  readonly endOfStream: boolean;
  /** Undefined where the message has no metadata. */
  readonly metadata: RoutingMetadata | undefined;
  /** Encoded `attributes` entries; empty where the message has none. */
  readonly attributes: readonly WireReader[];
  /** Whether the proxy only shows its traffic and ignores answers. */
  readonly observed: boolean;
  /** Body modes, of the first message of a stream on newer proxies. */
  readonly modes: { readonly request: number; readonly response: number } | undefined;
}

/** Metadata namespace of the destination and of the endpoint that served. */
export const LB_NAMESPACE = "envoy.lb";
const SUBSET_NAMESPACE = "envoy.lb.subset_hint";
const SUBSET_KEY = "x-gateway-destination-endpoint-subset";
const SERVED_KEY = "x-gateway-destination-endpoint-served";

const KIND_BY_FIELD: Readonly<Record<number, MessageKind>> = {
  2: "requestHeaders",
  3: "responseHeaders",
  4: "requestBody",
  5: "responseBody",
  6: "requestTrailers",
  7: "responseTrailers",
};
const METADATA_FIELD = 8;
const ATTRIBUTES_FIELD = 9;
/** observability_mode, a bool. */
const OBSERVABILITY_TAG = 0x50;
const PROTOCOL_CONFIG_FIELD = 11;
/** Nesting of metadata values that is followed. */
const MAX_DEPTH = 16;
const NO_BYTES = Buffer.alloc(0);

/** Decodes one message. Throws `WireError` for bytes that are none; unknown fields are passed over. */
export function decodeProcessingRequest(bytes: Buffer): ProcessingMessage {
  const reader = new WireReader(bytes);
  let kind: MessageKind = "other";
  let content: Content = EMPTY;
  let metadata: RoutingMetadata | undefined;
  let modes: ProcessingMessage["modes"];
  let attributes: WireReader[] | undefined;
  let observed = false;
  while (!reader.done) {
    const tag = reader.varint();
    const field = tag >>> 3;
    const found = KIND_BY_FIELD[field];
    if (tag === OBSERVABILITY_TAG) observed = reader.varint() !== 0;
    else if ((tag & 7) !== WIRE.bytes) reader.skip(tag & 7);
    else if (found !== undefined) {
      kind = found;
      content = readContent(found, reader.message());
    } else if (field === METADATA_FIELD) metadata = readMetadata(reader.message());
    else if (field === ATTRIBUTES_FIELD) (attributes ??= []).push(reader.message());
    else if (field === PROTOCOL_CONFIG_FIELD) modes = readModes(reader.message());
    else reader.skip(WIRE.bytes);
  }
  const { headers, body, endOfStream } = content;
  return { kind, headers, body, endOfStream, metadata, attributes: attributes ?? NONE, observed, modes };
}

const NONE: readonly WireReader[] = [];

/** Decodes the `attributes` of a message by namespace. Throws `WireError`. */
export function readAttributes(entries: readonly WireReader[]): Map<string, ReadonlyMap<string, AttributeValue>> {
  const attributes = new Map<string, ReadonlyMap<string, AttributeValue>>();
  for (const entry of entries) {
    const [name, struct] = readEntry(new WireReader(entry.bytes, entry.position, entry.end));
    if (struct !== undefined) attributes.set(name, readStruct(struct, 0));
  }
  return attributes;
}

interface Content {
  readonly headers: Map<string, string>;
  readonly body: Buffer;
  readonly endOfStream: boolean;
}

const EMPTY: Content = { headers: new Map(), body: NO_BYTES, endOfStream: false };

function readContent(kind: MessageKind, reader: WireReader): Content {
  if (kind === "requestBody" || kind === "responseBody") return readBody(reader);
  return readHeaders(reader);
}

/** HttpBody {1 body, 2 end_of_stream, 3 end_of_stream_without_message}. */
function readBody(reader: WireReader): Content {
  let body: Buffer = NO_BYTES;
  let endOfStream = false;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x0a) body = reader.slice();
    else if (tag === 0x10 || tag === 0x18) endOfStream = reader.varint() !== 0 || endOfStream;
    else reader.skip(tag & 7);
  }
  return { headers: EMPTY.headers, body, endOfStream };
}

/** HttpHeaders {1 headers, 3 end_of_stream} and HttpTrailers {1 trailers}. */
function readHeaders(reader: WireReader): Content {
  let headers = EMPTY.headers;
  let endOfStream = false;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x0a) headers = readHeaderMap(reader.message());
    else if (tag === 0x18) endOfStream = reader.varint() !== 0;
    else reader.skip(tag & 7);
  }
  return { headers, body: NO_BYTES, endOfStream };
}

const NOT_ASCII = /[\x80-\xff]/;

/**
 * HeaderMap {1 repeated HeaderValue {1 key, 2 value, 3 raw_value}}. One conversion of the whole map to a string and
 * substrings of it cost less than a conversion for each value.
 */
function readHeaderMap(reader: WireReader): Map<string, string> {
  const base = reader.position;
  const text = reader.bytes.toString("latin1", base, reader.end);
  const ascii = !NOT_ASCII.test(text);
  const headers = new Map<string, string>();
  const value = (start: number, end: number): string => {
    const latin = text.substring(start - base, end - base);
    return ascii || !NOT_ASCII.test(latin) ? latin : reader.bytes.toString("utf8", start, end);
  };
  while (!reader.done) {
    const tag = reader.varint();
    if (tag !== 0x0a) reader.skip(tag & 7);
    else readHeader(reader.message(), value, headers);
  }
  return headers;
}

function readHeader(
  reader: WireReader,
  value: (start: number, end: number) => string,
  into: Map<string, string>,
): void {
  let key = "";
  let plain = "";
  let raw = "";
  while (!reader.done) {
    const tag = reader.varint();
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a) {
      reader.skip(tag & 7);
      continue;
    }
    const end = reader.delimited();
    const read = value(reader.position, end);
    reader.position = end;
    if (tag === 0x0a) key = read;
    else if (tag === 0x12) plain = read;
    else raw = read;
  }
  if (key !== "") into.set(key.toLowerCase(), raw === "" ? plain : raw);
}

function readModes(reader: WireReader): { request: number; response: number } {
  const modes = { request: 0, response: 0 };
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x08) modes.request = reader.varint();
    else if (tag === 0x10) modes.response = reader.varint();
    else reader.skip(tag & 7);
  }
  return modes;
}

/** Metadata {1 map filter_metadata}; undefined where it has no entry at all. */
function readMetadata(reader: WireReader): RoutingMetadata | undefined {
  let subset: readonly string[] | undefined;
  let served: string | undefined;
  let any = false;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag !== 0x0a) {
      reader.skip(tag & 7);
      continue;
    }
    any = true;
    const [name, entry] = readEntry(reader.message());
    if (entry === undefined) continue;
    if (name === SUBSET_NAMESPACE) subset = subsetOf(readStruct(entry, 0).get(SUBSET_KEY));
    if (name === LB_NAMESPACE) served = textOf(readStruct(entry, 0).get(SERVED_KEY));
  }
  return any ? { subset, served } : undefined;
}

function subsetOf(value: AttributeValue | undefined): readonly string[] | undefined {
  if (typeof value === "string") return value.split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]));
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : undefined;
}

const textOf = (value: AttributeValue | undefined): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

/** A map entry {1 key, 2 message value}. */
function readEntry(reader: WireReader): [string, WireReader | undefined] {
  let key = "";
  let value: WireReader | undefined;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x0a) key = reader.text();
    else if (tag === 0x12) value = reader.message();
    else reader.skip(tag & 7);
  }
  return [key, value];
}

function readStruct(reader: WireReader, depth: number): Map<string, AttributeValue> {
  const fields = new Map<string, AttributeValue>();
  while (!reader.done) {
    const tag = reader.varint();
    if (tag !== 0x0a) {
      reader.skip(tag & 7);
      continue;
    }
    const [key, value] = readEntry(reader.message());
    if (value !== undefined) fields.set(key, readValue(value, depth + 1));
  }
  return fields;
}

/** google.protobuf.Value {2 number, 3 string, 4 bool, 5 struct, 6 list}. */
function readValue(reader: WireReader, depth: number): AttributeValue {
  if (depth > MAX_DEPTH) throw new WireError(`metadata nested deeper than ${MAX_DEPTH}`);
  let value: AttributeValue = null;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x11) value = reader.double();
    else if (tag === 0x1a) value = reader.text();
    else if (tag === 0x20) value = reader.varint() !== 0;
    else if (tag === 0x2a) value = readStruct(reader.message(), depth);
    else if (tag === 0x32) value = readList(reader.message(), depth);
    else reader.skip(tag & 7);
  }
  return value;
}

function readList(reader: WireReader, depth: number): AttributeValue[] {
  const values: AttributeValue[] = [];
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x0a) values.push(readValue(reader.message(), depth + 1));
    else reader.skip(tag & 7);
  }
  return values;
}
