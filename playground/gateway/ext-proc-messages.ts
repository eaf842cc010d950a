/**
 * The proxy's side of `envoy.service.ext_proc.v3`: requests are written and responses are read by field numbers of the public
 * protocol definition, without generated code.
 */

import { BODY_MODE, LB_NAMESPACE } from "../../scheduler/extproc/decode.ts";
import { BackwardWriter, WIRE, WireReader } from "../../scheduler/extproc/wire.ts";

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

const PHASES = { request: { headers: 2, body: 4 }, response: { headers: 3, body: 5 } } as const;

/** Headers of the request or the response; the first message of a stream also states the body modes. */
export function encodeHeaders(
  phase: Phase,
  headers: HeaderPairs,
  options: { readonly endOfStream: boolean; readonly served?: string },
): Buffer {
  const writer = new BackwardWriter(4096);
  if (phase === "request") writeModes(writer);
  if (options.served !== undefined) writeServed(writer, options.served);
  const message = writer.mark();
  if (options.endOfStream) writer.uint(3, 1);
  const map = writer.mark();
  for (const [name, value] of [...headers].reverse()) {
    const header = writer.mark();
    writer.bytes(3, Buffer.from(value, "latin1"));
    writer.text(1, name);
    writer.close(1, header);
  }
  writer.close(1, map);
  writer.close(PHASES[phase].headers, message);
  return writer.finish();
}

/** `protocol_config`: both bodies in full duplex. */
function writeModes(writer: BackwardWriter): void {
  const config = writer.mark();
  writer.uint(2, BODY_MODE.fullDuplexStreamed);
  writer.uint(1, BODY_MODE.fullDuplexStreamed);
  writer.close(11, config);
}

/** `metadata_context` with the endpoint that answered: maps of messages, the innermost first. */
function writeServed(writer: BackwardWriter, address: string): void {
  const mark = writer.mark();
  writer.text(3, address);
  writer.close(2, mark);
  writer.text(1, `${DESTINATION}-served`);
  writer.close(1, mark);
  writer.close(2, mark);
  writer.text(1, LB_NAMESPACE);
  writer.close(1, mark);
  writer.close(8, mark);
}

/** One piece of a body. */
export function encodeBody(phase: Phase, body: Uint8Array, endOfStream: boolean): Buffer {
  const writer = new BackwardWriter(body.length + 32);
  const message = writer.mark();
  if (endOfStream) writer.uint(2, 1);
  writer.bytes(1, body);
  writer.close(PHASES[phase].body, message);
  return writer.finish();
}

interface Field {
  readonly number: number;
  /** Content of a length-delimited field; empty for others. */
  readonly bytes: Buffer;
  /** Value of a varint field; 0 for others. */
  readonly value: number;
}

const EMPTY = Buffer.alloc(0);

/** Fields of a message in order. Throws `WireError` where the bytes are no message. */
function* readFields(message: Buffer): Generator<Field, void, undefined> {
  const reader = new WireReader(message);
  while (!reader.done) {
    const tag = reader.varint();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === WIRE.varint) yield { number, bytes: EMPTY, value: reader.varint() };
    else if (wire === WIRE.bytes) yield { number, bytes: reader.slice(), value: 0 };
    else reader.skip(wire);
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

/** Reads one ProcessingResponse. Throws `WireError` for damaged bytes; undefined for a message without content we know. */
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
  if (streamed === undefined) return { kind: "body", phase, body: EMPTY, endOfStream: false };
  return {
    kind: "body",
    phase,
    body: find(streamed, 1) ?? EMPTY,
    endOfStream: flagOf(streamed, 2) || flagOf(streamed, 3),
  };
}

function immediateAnswer(bytes: Buffer): ExtProcAnswer {
  const status = [...readFields(find(bytes, 1) ?? EMPTY)].find((field) => field.number === 1)?.value ?? 200;
  return {
    kind: "immediate",
    status,
    mutation: readMutation(find(bytes, 2)),
    body: find(bytes, 3) ?? EMPTY,
  };
}

function readMutation(bytes: Buffer | undefined): HeaderMutation {
  const set: [string, string][] = [];
  const remove: string[] = [];
  for (const field of readFields(bytes ?? EMPTY)) {
    if (field.number === 2) remove.push(field.bytes.toString());
    if (field.number !== 1) continue;
    const header = find(field.bytes, 1);
    const raw = find(header, 3);
    const value = raw !== undefined && raw.length > 0 ? raw : (find(header, 2) ?? EMPTY);
    set.push([(find(header, 1) ?? EMPTY).toString(), value.toString("latin1")]);
  }
  return { set, remove };
}

/** `envoy.lb` / `x-gateway-destination-endpoint` of a Struct. */
function destinationOf(metadata: Buffer | undefined): string | undefined {
  return find(structField(find(structField(metadata, LB_NAMESPACE), 5), DESTINATION), 3)?.toString();
}

/** The Value of one field of a Struct. */
function structField(struct: Buffer | undefined, name: string): Buffer | undefined {
  for (const entry of readFields(struct ?? EMPTY))
    if (entry.number === 1 && find(entry.bytes, 1)?.toString() === name) return find(entry.bytes, 2);
  return undefined;
}
