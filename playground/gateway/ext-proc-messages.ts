/**
 * The proxy's side of `envoy.service.ext_proc.v3`: requests are written and responses are read by field numbers of the public
 * protocol definition, without generated code.
 */

/** Header names and values, in order. */
export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** What an answer changes in headers. */
export interface HeaderMutation {
  readonly set: HeaderPairs;
  readonly remove: readonly string[];
}

/** Which half of the exchange a message is about. */
export type Phase = "request" | "response";

/** One ProcessingResponse. */
export type ExtProcAnswer =
  | {
      readonly kind: "headers";
      readonly phase: Phase;
      readonly mutation: HeaderMutation;
      /** `x-gateway-destination-endpoint` of the dynamic metadata, else of the header mutation. */
      readonly destination: string | undefined;
    }
  | { readonly kind: "body"; readonly phase: Phase; readonly body: Buffer; readonly endOfStream: boolean }
  | { readonly kind: "trailers"; readonly phase: Phase }
  | { readonly kind: "immediate"; readonly status: number; readonly mutation: HeaderMutation; readonly body: Buffer };

/** Header and metadata key of the chosen endpoint (endpoint picker protocol). */
export const DESTINATION = "x-gateway-destination-endpoint";

const LB_NAMESPACE = "envoy.lb";
const FULL_DUPLEX_STREAMED = 4;
const PHASES = { request: { headers: 2, body: 4 }, response: { headers: 3, body: 5 } } as const;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

function nested(field: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([varint(field * 8 + 2), varint(length), ...parts]);
}

const text = (field: number, value: string): Buffer => nested(field, Buffer.from(value));
const flag = (field: number, value: boolean): Buffer => (value ? Buffer.from([field * 8, 1]) : Buffer.alloc(0));

/** Headers of the request or the response; the first message of a stream also states the body modes. */
export function encodeHeaders(
  phase: Phase,
  headers: HeaderPairs,
  options: { readonly endOfStream: boolean; readonly served?: string },
): Buffer {
  const map = headers.map(([name, value]) => nested(1, text(1, name), nested(3, Buffer.from(value, "latin1"))));
  const message = nested(PHASES[phase].headers, nested(1, ...map), flag(3, options.endOfStream));
  const modes = Buffer.from([8, FULL_DUPLEX_STREAMED, 16, FULL_DUPLEX_STREAMED]);
  const first = phase === "request" ? [nested(11, modes)] : [];
  return Buffer.concat([message, ...(options.served === undefined ? [] : [servedMetadata(options.served)]), ...first]);
}

/** `metadata_context` with the endpoint that answered. */
function servedMetadata(address: string): Buffer {
  const entry = nested(1, text(1, `${DESTINATION}-served`), nested(2, text(3, address)));
  return nested(8, nested(1, text(1, LB_NAMESPACE), nested(2, entry)));
}

/** One piece of a body. */
export function encodeBody(phase: Phase, body: Uint8Array, endOfStream: boolean): Buffer {
  return nested(PHASES[phase].body, nested(1, body), flag(2, endOfStream));
}

interface Field {
  readonly number: number;
  /** Content of a length-delimited field; empty for others. */
  readonly bytes: Buffer;
  /** Value of a varint field; 0 for others. */
  readonly value: number;
}

/** Fields of a message in order. Throws `RangeError` where the bytes end early or use an unknown wire type. */
function* readFields(message: Buffer): Generator<Field, void, undefined> {
  let offset = 0;
  const readVarint = (): number => {
    let result = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message.readUInt8(offset++);
      result += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return result;
    }
    throw new RangeError("varint is longer than ten bytes");
  };
  const take = (length: number): Buffer => {
    if (offset + length > message.length) throw new RangeError("message ends inside a field");
    offset += length;
    return message.subarray(offset - length, offset);
  };
  const empty = Buffer.alloc(0);
  while (offset < message.length) {
    const tag = readVarint();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) yield { number, bytes: empty, value: readVarint() };
    else if (wire === 2) yield { number, bytes: take(readVarint()), value: 0 };
    else if (wire === 1 || wire === 5) yield { number, bytes: (take(wire === 1 ? 8 : 4), empty), value: 0 };
    else throw new RangeError(`wire type ${wire} is not known`);
  }
}

function find(message: Buffer | undefined, ...path: readonly number[]): Buffer | undefined {
  let current = message;
  for (const number of path) {
    if (current === undefined) return undefined;
    current = [...readFields(current)].findLast((field) => field.number === number)?.bytes;
  }
  return current;
}

function flagOf(message: Buffer, number: number): boolean {
  return [...readFields(message)].some((field) => field.number === number && field.value !== 0);
}

/** Reads one ProcessingResponse. Throws `RangeError` for damaged bytes; undefined for a message without content we know. */
export function decodeAnswer(message: Buffer): ExtProcAnswer | undefined {
  const fields = new Map([...readFields(message)].map((field) => [field.number, field.bytes]));
  const metadata = fields.get(8);
  for (const [number, bytes] of fields) {
    if (number === 1 || number === 2) return headersAnswer(number === 1 ? "request" : "response", bytes, metadata);
    if (number === 3 || number === 4) return bodyAnswer(number === 3 ? "request" : "response", bytes);
    if (number === 5 || number === 6) return { kind: "trailers", phase: number === 5 ? "request" : "response" };
    if (number === 7) return immediateAnswer(bytes);
  }
  return undefined;
}

function headersAnswer(phase: Phase, bytes: Buffer, metadata: Buffer | undefined): ExtProcAnswer {
  const mutation = readMutation(find(bytes, 1, 2));
  const header = mutation.set.find(([name]) => name.toLowerCase() === DESTINATION)?.[1];
  return { kind: "headers", phase, mutation, destination: destinationOf(metadata) ?? header };
}

function bodyAnswer(phase: Phase, bytes: Buffer): ExtProcAnswer {
  const streamed = find(bytes, 1, 3, 3);
  if (streamed === undefined) return { kind: "body", phase, body: Buffer.alloc(0), endOfStream: false };
  return {
    kind: "body",
    phase,
    body: find(streamed, 1) ?? Buffer.alloc(0),
    endOfStream: flagOf(streamed, 2) || flagOf(streamed, 3),
  };
}

function immediateAnswer(bytes: Buffer): ExtProcAnswer {
  const status = [...readFields(find(bytes, 1) ?? Buffer.alloc(0))].find((field) => field.number === 1)?.value ?? 200;
  return {
    kind: "immediate",
    status,
    mutation: readMutation(find(bytes, 2)),
    body: find(bytes, 3) ?? Buffer.alloc(0),
  };
}

function readMutation(bytes: Buffer | undefined): HeaderMutation {
  const set: [string, string][] = [];
  const remove: string[] = [];
  for (const field of readFields(bytes ?? Buffer.alloc(0))) {
    if (field.number === 2) remove.push(field.bytes.toString());
    if (field.number !== 1) continue;
    const header = find(field.bytes, 1);
    const raw = find(header, 3);
    const value = raw !== undefined && raw.length > 0 ? raw : (find(header, 2) ?? Buffer.alloc(0));
    set.push([(find(header, 1) ?? Buffer.alloc(0)).toString(), value.toString("latin1")]);
  }
  return { set, remove };
}

/** `envoy.lb` / `x-gateway-destination-endpoint` of a Struct. */
function destinationOf(metadata: Buffer | undefined): string | undefined {
  return find(structField(find(structField(metadata, LB_NAMESPACE), 5), DESTINATION), 3)?.toString();
}

/** The Value of one field of a Struct. */
function structField(struct: Buffer | undefined, name: string): Buffer | undefined {
  for (const entry of readFields(struct ?? Buffer.alloc(0)))
    if (entry.number === 1 && find(entry.bytes, 1)?.toString() === name) return find(entry.bytes, 2);
  return undefined;
}
