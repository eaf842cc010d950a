import { Pointer, TextMap, indirect, isList, isMap, isTrue, typeName } from "./values.ts";
import type { Value } from "./values.ts";

/** Why a function refuses its arguments; the evaluator adds place and expression. */
export class FunctionError extends Error {}

/** A function that templates can call. Errors: throws `FunctionError`. */
export type TemplateFunction = (args: readonly Value[]) => Value;

/** Functions by name. */
export type FunctionTable = Readonly<Record<string, TemplateFunction>>;

/** The argument as a string, through pointers. */
export function stringArgument(args: readonly Value[], index: number): string {
  const given = args[index];
  if (given === undefined)
    throw new FunctionError(`wrong number of args: want at least ${index + 1} got ${args.length}`);
  const value = indirect(given);
  if (typeof value === "string") return value;
  if (given instanceof Pointer && given.target === undefined)
    throw new FunctionError(`dereference of nil pointer of type *${given.typeName}`);
  throw new FunctionError(`wrong type for value; expected string; got ${typeName(given)}`);
}

/** The argument as an integer, through pointers. */
export function integerArgument(args: readonly Value[], index: number): bigint {
  const given = args[index];
  if (given === undefined)
    throw new FunctionError(`wrong number of args: want at least ${index + 1} got ${args.length}`);
  const value = indirect(given);
  if (typeof value === "bigint") return value;
  throw new FunctionError(`wrong type for value; expected int; got ${typeName(given)}`);
}

/** Checks the number of arguments. */
export function requireArguments(args: readonly Value[], atLeast: number, atMost: number = atLeast): void {
  if (args.length >= atLeast && args.length <= atMost) return;
  const wanted = atMost === Number.POSITIVE_INFINITY ? `at least ${atLeast}` : `${atLeast}`;
  throw new FunctionError(`wrong number of args: want ${wanted} got ${args.length}`);
}

function isBasic(value: Value): value is string | bigint | number | boolean | null {
  return value === null || typeof value !== "object";
}

function equal(left: Value, right: Value): boolean {
  const [a, b] = [indirect(left), indirect(right)];
  if (!isBasic(a) || !isBasic(b)) throw new FunctionError("invalid type for comparison");
  if (a !== null && b !== null && typeof a !== typeof b) throw new FunctionError("incompatible types for comparison");
  return a === b;
}

function less(left: Value, right: Value): boolean {
  const [a, b] = [indirect(left), indirect(right)];
  if (!isBasic(a) || !isBasic(b) || a === null || b === null || typeof a === "boolean" || typeof b === "boolean")
    throw new FunctionError("invalid type for comparison");
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
  if (typeof a === "bigint" && typeof b === "bigint") return a < b;
  if (typeof a === "number" && typeof b === "number") return a < b;
  throw new FunctionError("incompatible types for comparison");
}

function two(args: readonly Value[]): readonly [Value, Value] {
  requireArguments(args, 2);
  return [args[0] ?? null, args[1] ?? null];
}

function eq(args: readonly Value[]): boolean {
  requireArguments(args, 2, Number.POSITIVE_INFINITY);
  const [first = null, ...rest] = args;
  return rest.some((value) => equal(first, value));
}

function position(value: Value, length: number, inclusive: boolean): number {
  const index = indirect(value);
  if (typeof index !== "bigint") throw new FunctionError(`cannot index slice/array with type ${typeName(value)}`);
  if (index < 0n || index > BigInt(length) || (!inclusive && index === BigInt(length)))
    throw new FunctionError(`index out of range: ${index}`);
  return Number(index);
}

function indexOne(given: Value, key: Value): Value {
  const value = indirect(given);
  if (value === null) throw new FunctionError("index of nil pointer");
  if (isList(value)) return value[position(key, value.length, false)] ?? null;
  if (typeof value === "string") {
    const bytes = Buffer.from(value);
    return BigInt(bytes[position(key, bytes.length, false)] ?? 0);
  }
  if (!isMap(value)) throw new FunctionError(`can't index item of type ${typeName(given)}`);
  const name = indirect(key);
  if (typeof name !== "string") throw new FunctionError(`value has type ${typeName(key)}; should be string`);
  return value.get(name) ?? (value instanceof TextMap ? "" : null);
}

function slice(args: readonly Value[]): Value {
  requireArguments(args, 1, 4);
  const [given = null, from = 0n, to] = args;
  const value = indirect(given);
  if (typeof value !== "string" && !(value !== null && isList(value)))
    throw new FunctionError(`can't slice item of type ${typeName(given)}`);
  const bytes = typeof value === "string" ? Buffer.from(value) : undefined;
  const length = bytes?.length ?? value.length;
  const start = position(from, length, true);
  const end = to === undefined ? length : position(to, length, true);
  if (start > end) throw new FunctionError(`invalid slice index: ${start} > ${end}`);
  return bytes === undefined ? value.slice(start, end) : bytes.subarray(start, end).toString();
}

function len(args: readonly Value[]): bigint {
  requireArguments(args, 1);
  const value = indirect(args[0] ?? null);
  if (typeof value === "string") return BigInt(Buffer.byteLength(value));
  if (value !== null && isList(value)) return BigInt(value.length);
  if (value !== null && isMap(value)) return BigInt(value.size);
  throw new FunctionError(value === null ? "len of nil pointer" : `len of type ${typeName(value)}`);
}

const HTML_ESCAPES: Readonly<Record<string, string>> = {
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\0": "\uFFFD",
};

const JS_ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "'": "\\'",
  '"': '\\"',
  "<": "\\u003C",
  ">": "\\u003E",
  "&": "\\u0026",
  "=": "\\u003D",
};

/** Go's `html`. */
export function escapeHtml(text: string): string {
  return text.replace(/["'&<>\0]/g, (character) => HTML_ESCAPES[character] ?? "");
}

/** Go's `js`. */
export function escapeJs(text: string): string {
  return text.replace(
    /[\\'"<>&=]|\p{Cc}/gu,
    (character) =>
      JS_ESCAPES[character] ?? `\\u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`,
  );
}

/** Go's `urlquery`. */
export function escapeQuery(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

/** Go's built-in functions but `and` and `or`, which the evaluator short-circuits, and the printing ones. */
export const COMPARISON_FUNCTIONS: FunctionTable = {
  not: (args) => {
    requireArguments(args, 1);
    return !isTrue(args[0] ?? null);
  },
  eq,
  ne: (args) => !equal(...two(args)),
  lt: (args) => less(...two(args)),
  le: (args) => !less(...swap(two(args))),
  gt: (args) => less(...swap(two(args))),
  ge: (args) => !less(...two(args)),
  len,
  index: (args) => {
    requireArguments(args, 1, Number.POSITIVE_INFINITY);
    const [first = null, ...keys] = args;
    return keys.reduce(indexOne, first);
  },
  slice,
  call: () => {
    throw new FunctionError("call of non-function");
  },
};

function swap([a, b]: readonly [Value, Value]): readonly [Value, Value] {
  return [b, a];
}
