/**
 * A value as Go's `text/template` sees it. Integers are `bigint`, floating-point numbers are `number`, `null` is the
 * untyped nil.
 */
export type Value =
  | string
  | bigint
  | number
  | boolean
  | null
  | readonly Value[]
  | ReadonlyMap<string, Value>
  | Pointer
  | Struct;

/** A Go pointer: truthy and printed as its target unless nil. */
export class Pointer {
  /** Go's name of the type pointed to, for error messages. */
  readonly typeName: string;
  /** Undefined for a nil pointer. */
  readonly target: Value | undefined;

  constructor(typeName: string, target: Value | undefined) {
    this.typeName = typeName;
    this.target = target;
  }
}

/** A Go struct: its fields are looked up by Go name. */
export class Struct {
  readonly typeName: string;
  /** The field's value; undefined where the type has no such field. */
  readonly field: (name: string) => Value | undefined;
  /** How the struct prints. */
  readonly text: () => string;

  constructor(
    typeName: string,
    field: (name: string) => Value | undefined,
    text: () => string = () => `{${typeName}}`,
  ) {
    this.typeName = typeName;
    this.field = field;
    this.text = text;
  }
}

/** A Go map of texts: what it does not have is the empty text. */
export class TextMap extends Map<string, string> {}

/** Whether the value is a Go slice. */
export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** Whether the value is a Go map. */
export function isMap(value: Value): value is ReadonlyMap<string, Value> {
  return value instanceof Map;
}

/** Follows pointers; a nil pointer gives null. */
export function indirect(value: Value): Value {
  let current = value;
  while (current instanceof Pointer) current = current.target ?? null;
  return current;
}

/** Go's truth: not nil, zero, false or empty. A pointer is true unless nil, whatever it points to. */
export function isTrue(value: Value): boolean {
  if (value instanceof Pointer) return value.target !== undefined;
  if (value instanceof Struct) return true;
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return value.size > 0;
  return Boolean(value);
}

/** Go's name of the value's type, as far as error messages need it. */
export function typeName(value: Value): string {
  if (value === null) return "nil";
  if (value instanceof Pointer) return `*${value.typeName}`;
  if (value instanceof Struct) return value.typeName;
  if (isList(value)) return "[]interface {}";
  if (isMap(value)) return "map[string]interface {}";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return "float64";
  return typeof value === "boolean" ? "bool" : "string";
}

const MAX_PLAIN_EXPONENT = 21;
const MIN_PLAIN_EXPONENT = -4;

/** A float as Go's `%v` prints it: shortest form, exponent of at least two digits outside 1e-4 … 1e21. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa = "", power = "0"] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent >= MIN_PLAIN_EXPONENT && exponent < MAX_PLAIN_EXPONENT) return plainFloat(value);
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function plainFloat(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(20).replace(/\.?0+$/, "") : text;
}

/** The value as Go's `fmt.Sprint` prints it (`%v`). */
export function formatValue(value: Value): string {
  if (value === null) return "<nil>";
  if (value instanceof Pointer) return value.target === undefined ? "<nil>" : formatValue(value.target);
  if (value instanceof Struct) return value.text();
  if (isList(value)) return `[${value.map(formatValue).join(" ")}]`;
  if (isMap(value))
    return `map[${sortedEntries(value)
      .map(([key, item]) => `${key}:${formatValue(item)}`)
      .join(" ")}]`;
  return typeof value === "number" ? formatFloat(value) : String(value);
}

/** Entries of a map in Go's printing and ranging order: by key, bytewise. */
export function sortedEntries(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
