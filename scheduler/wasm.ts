/** Puts small WebAssembly modules together (webassembly.github.io/spec/core/binary): 64-bit arithmetic that JavaScript lacks. */

/** Instructions as bytes. */
export type Code = readonly number[];

const I32 = 0x7f;
const I64 = 0x7e;
const NOTHING = 0x40;

const unsigned = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];

/** A signed LEB128 integer of up to 64 bits. */
function signed(value: bigint): number[] {
  const low = Number(value & 0x7fn);
  const rest = value >> 7n;
  const last = (rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40);
  return last ? [low] : [low | 0x80, ...signed(rest)];
}

const binary =
  (opcode: number) =>
  (a: Code, b: Code): Code => [...a, ...b, opcode];
const load =
  (opcode: number, align: number) =>
  (at: Code, offset = 0): Code => [...at, opcode, align, offset];

/** A constant of 32 bits. */
export const const32 = (value: number): Code => [0x41, ...signed(BigInt(value | 0))];
/** A constant of 64 bits; an unsigned value is taken as its two's complement. */
export const const64 = (value: bigint): Code => [0x42, ...signed(BigInt.asIntN(64, value))];
export const get = (local: number): Code => [0x20, local];
export const set = (local: number, value: Code): Code => [...value, 0x21, local];

export const add32: (a: Code, b: Code) => Code = binary(0x6a);
export const sub32: (a: Code, b: Code) => Code = binary(0x6b);
/** Unsigned comparisons. */
export const atMost32: (a: Code, b: Code) => Code = binary(0x4d);
export const below32: (a: Code, b: Code) => Code = binary(0x49);
export const and32: (a: Code, b: Code) => Code = binary(0x71);
export const and64: (a: Code, b: Code) => Code = binary(0x83);
export const sub64: (a: Code, b: Code) => Code = binary(0x7d);
export const equal64: (a: Code, b: Code) => Code = binary(0x51);
export const add64: (a: Code, b: Code) => Code = binary(0x7c);
export const mul64: (a: Code, b: Code) => Code = binary(0x7e);
export const xor64: (a: Code, b: Code) => Code = binary(0x85);
export const shiftRight64: (a: Code, b: Code) => Code = binary(0x88);
export const rotateLeft64: (a: Code, b: Code) => Code = binary(0x89);
/** Zero bits below the lowest one; 64 where there is none. */
export const trailingZeros64 = (value: Code): Code => [...value, 0x7a];
/** Whether a value is zero. */
export const isZero64 = (value: Code): Code => [...value, 0x50];
/** 1 for 0, 0 for 1. */
export const not32 = (value: Code): Code => [...value, 0x45];
/** The lower half. */
export const wrap = (value: Code): Code => [...value, 0xa7];
/** A 32-bit integer as an unsigned one of 64. */
export const extend = (value: Code): Code => [...value, 0xad];

/** Little-endian integers of 64, 32 and 8 bits from memory, as 64-bit ones. */
export const load64: (at: Code, offset?: number) => Code = load(0x29, 0);
export const load32: (at: Code, offset?: number) => Code = load(0x35, 0);
export const load8: (at: Code, offset?: number) => Code = load(0x31, 0);
export const store64 = (at: Code, value: Code, offset = 0): Code => [...at, ...value, 0x37, 0, offset];

export const store32 = (at: Code, value: Code): Code => [...at, ...value, 0x36, 0, 0];
/** Stores the lowest byte of a 64-bit integer. */
export const store8 = (at: Code, value: Code): Code => [...at, ...value, 0x3c, 0, 0];

export const call = (index: number, ...args: readonly Code[]): Code => [...args.flat(), 0x10, index];
/** The first value where the condition holds, else the second. */
export const select = (a: Code, b: Code, condition: Code): Code => [...a, ...b, ...condition, 0x1b];
export const when = (condition: Code, body: Code, otherwise: Code = []): Code => [
  ...condition,
  0x04,
  NOTHING,
  ...body,
  ...(otherwise.length === 0 ? [] : [0x05, ...otherwise]),
  0x0b,
];
/** Runs `body` as long as the condition holds. */
export const during = (condition: Code, body: Code): Code => [
  0x03,
  NOTHING,
  ...when(condition, [...body, 0x0c, 1]),
  0x0b,
];

/** A function: parameters are its first locals. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ("i32" | "i64")[];
  readonly result: "i32" | "i64" | undefined;
  /** Number of 64-bit locals, then of 32-bit ones, behind the parameters. */
  readonly locals64: number;
  readonly locals32: number;
  readonly body: Code;
}

const typeOf = (name: "i32" | "i64"): number => (name === "i32" ? I32 : I64);
const sized = (content: Code): Code => [...unsigned(content.length), ...content];
const vector = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
const section = (id: number, content: Code): Code => [id, ...sized(content)];
const name = (text: string): Code => sized([...Buffer.from(text)]);

const signature = ({ parameters, result }: WasmFunction): Code => [
  0x60,
  ...vector(parameters.map((parameter) => [typeOf(parameter)])),
  ...vector(result === undefined ? [] : [[typeOf(result)]]),
];

const code = ({ locals64, locals32, body }: WasmFunction): Code =>
  sized([
    ...vector([
      [...unsigned(locals64), I64],
      [...unsigned(locals32), I32],
    ]),
    ...body,
    0x0b,
  ]);

/** A module that exports its functions and, as `memory`, one page of memory to begin with. */
function assemble(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const exported = functions.map((entry, index) => [...name(entry.name), 0x00, index]);
  return Uint8Array.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, vector(functions.map(signature))),
    ...section(3, vector(functions.map((_, index) => [index]))),
    ...section(5, vector([[0x00, 1]])),
    ...section(7, vector([[...name("memory"), 0x02, 0], ...exported])),
    ...section(10, vector(functions.map(code))),
  ]);
}

/** The part of WebAssembly's JavaScript interface that is used here. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

/** What a module of `assemble` exports besides its functions. */
export interface WasmMemory {
  readonly memory: {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  };
}

const PAGE_BYTES = 65_536;

/** Makes an instance of a module with these functions. `Exports` names them with their types. */
export function instantiate<Exports>(functions: readonly WasmFunction[]): Exports & WasmMemory {
  return new WebAssembly.Instance(new WebAssembly.Module(assemble(functions))).exports as Exports & WasmMemory;
}

/** Grows a memory to at least `bytes`; views of it are to be made anew then. Returns whether it did. */
export function growTo({ memory }: WasmMemory, bytes: number): boolean {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  return missing > 0;
}
