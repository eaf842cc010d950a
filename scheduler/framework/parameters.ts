/**
 * Typed schemas of plugin parameters: one declaration yields the validated value's type, its defaults, the error texts
 * and the documentation.
 */
import { quantityUnits } from "../../kube/quantity.ts";
import { suggest, type Report } from "./problem.ts";

/** How one value is read from JSON. Absent and null both mean the default. */
export interface Field<T> {
  readonly doc: string;
  /** What may be given, in words: `integer ≥ 1`. */
  readonly accepts: string;
  /** Value used when nothing is given; undefined may mean "none". */
  readonly fallback: T;
  readonly required: boolean;
  /** Fields of an object, for documentation; undefined for other kinds. */
  readonly fields?: Shape | undefined;
  /** How each item of a list is read, for documentation; undefined for other kinds. */
  readonly item?: Field<unknown> | undefined;
  /** Reads `value`; on a defect reports it and returns the fallback. */
  read(value: unknown, path: string, report: Report): T;
}

export type Shape = Readonly<Record<string, Field<unknown>>>;

/** The value type of a shape. */
export type Values<S extends Shape> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never };

interface Options<T> {
  readonly doc: string;
  readonly default: T;
}

type Check<T> = (value: unknown) => { readonly ok: T } | { readonly cause: string };

function field<T>(options: Options<T>, accepts: string, check: Check<T>): Field<T> {
  return {
    doc: options.doc,
    accepts,
    fallback: options.default,
    required: false,
    read: (value, path, report) => {
      if (value === undefined || value === null) return options.default;
      const result = check(value);
      if ("ok" in result) return result.ok;
      report.error({ path, value, cause: result.cause, remedy: `give ${accepts}` });
      return options.default;
    },
  };
}

/** Makes a field mandatory. */
export function required<T>(inner: Field<T>): Field<T> {
  return {
    ...inner,
    required: true,
    read: (value, path, report) => {
      if (value !== undefined && value !== null) return inner.read(value, path, report);
      report.error({ path, value: undefined, cause: "required parameter is missing", remedy: `give ${inner.accepts}` });
      return inner.fallback;
    },
  };
}

interface Bounds {
  readonly min?: number;
  readonly max?: number;
  /** Excluded lower bound. */
  readonly above?: number;
}

function describeBounds(bounds: Bounds): string {
  const parts = [];
  if (bounds.above !== undefined) parts.push(`> ${bounds.above}`);
  if (bounds.min !== undefined) parts.push(`≥ ${bounds.min}`);
  if (bounds.max !== undefined) parts.push(`≤ ${bounds.max}`);
  return parts.length === 0 ? "" : ` ${parts.join(" and ")}`;
}

function withinBounds(value: number, { min = -Infinity, max = Infinity, above = -Infinity }: Bounds): boolean {
  return value >= min && value <= max && value > above;
}

function numeric<T extends number | undefined>(
  kind: "number" | "integer",
  options: Options<T> & Bounds,
): Field<T | number> {
  const accepts = `${kind === "integer" ? "an integer" : "a number"}${describeBounds(options)}`;
  return field<T | number>(options, accepts, (value) => {
    if (typeof value !== "number" || !Number.isFinite(value)) return { cause: `is not ${accepts}` };
    if (kind === "integer" && !Number.isInteger(value)) return { cause: "is not an integer" };
    return withinBounds(value, options) ? { ok: value } : { cause: `must be${describeBounds(options)}` };
  });
}

/** A finite number within bounds. */
export function number<T extends number | undefined>(options: Options<T> & Bounds): Field<T | number> {
  return numeric("number", options);
}

/** An integral number within bounds. */
export function integer<T extends number | undefined>(options: Options<T> & Bounds): Field<T | number> {
  return numeric("integer", options);
}

/** true or false. */
export function bool(options: Options<boolean>): Field<boolean> {
  return field(options, "true or false", (value) =>
    typeof value === "boolean" ? { ok: value } : { cause: "is not a boolean" },
  );
}

/** Text, optionally not empty. */
export function text(options: Options<string> & { readonly nonEmpty?: boolean }): Field<string> {
  const accepts = options.nonEmpty === true ? "a non-empty string" : "a string";
  return field(options, accepts, (value) => {
    if (typeof value !== "string") return { cause: "is not a string" };
    return value === "" && options.nonEmpty === true ? { cause: "must not be empty" } : { ok: value };
  });
}

/** One of a fixed set of texts. */
export function choice<const T extends string>(
  options: { readonly doc: string; readonly default: NoInfer<T> } & { readonly of: readonly T[] },
): Field<T> {
  return field<T>(options, `one of ${options.of.join(", ")}`, (value) => {
    const found = options.of.find((item) => item === value);
    return found === undefined ? { cause: "is not a known value" } : { ok: found };
  });
}

/** A Go duration such as `200ms` or `1h30m`, in ms. A bare number is nanoseconds, as Go's JSON encoding has it. */
export function durationMs<T extends number | undefined>(options: Options<T> & Bounds): Field<T | number> {
  const accepts = `a duration such as "200ms"${describeBounds(options)}`;
  return field<T | number>(options, accepts, (value) => {
    const ms = typeof value === "number" ? value / 1e6 : typeof value === "string" ? parseDurationMs(value) : undefined;
    if (ms === undefined) return { cause: "is not a duration" };
    return withinBounds(ms, options) ? { ok: ms } : { cause: `must be${describeBounds(options)} ms` };
  });
}

/** Anything, unread: for parts that another component validates. */
export function anything(doc: string): Field<unknown> {
  return field<unknown>({ doc, default: undefined }, "any value", (value) => ({ ok: value }));
}

/** A parameter of former releases: accepted with a warning, not read. `instead` names what took its place. */
export function retired(instead: string): Field<undefined> {
  return {
    doc: `Accepted, not read: ${instead}.`,
    accepts: "any value",
    fallback: undefined,
    required: false,
    read: (value, path, report) => {
      if (value !== undefined && value !== null) report.warn(`${path}: ignored; ${instead}`);
      return undefined;
    },
  };
}

/** A Kubernetes quantity such as `500`, `1G` or `1Gi`, rounded up to whole units. */
export function quantity<T extends number | undefined>(options: Options<T> & Bounds): Field<T | number> {
  const accepts = `a quantity such as "1Gi"${describeBounds(options)}`;
  return field<T | number>(options, accepts, (value) => {
    const text = typeof value === "number" ? String(value) : value;
    const units = typeof text === "string" ? quantityUnits(text) : undefined;
    if (units === undefined) return { cause: "is not a quantity" };
    const amount = Number(units);
    return withinBounds(amount, options) ? { ok: amount } : { cause: `must be${describeBounds(options)}` };
  });
}

/** Text values by text key. */
export function textMap(doc: string): Field<Readonly<Record<string, string>>> {
  return field<Readonly<Record<string, string>>>({ doc, default: {} }, "an object of strings", (value) =>
    isRecord(value) && Object.values(value).every((item) => typeof item === "string")
      ? { ok: value as Record<string, string> }
      : { cause: "is not an object of strings" },
  );
}

/** A list whose items are read by `item`. */
export function list<T>(
  item: Field<T>,
  options: { readonly doc: string; readonly default?: readonly T[]; readonly min?: number },
): Field<readonly T[]> {
  const fallback = options.default ?? [];
  const min = options.min ?? 0;
  return {
    doc: options.doc,
    accepts: `a list of ${item.accepts}`,
    item,
    fallback,
    required: min > 0,
    fields: item.fields,
    read: (value, path, report) => {
      if (value === undefined || value === null) {
        if (min > 0) report.error({ path, value, cause: "required list is missing", remedy: "give at least one item" });
        return fallback;
      }
      if (!Array.isArray(value)) {
        report.error({ path, value, cause: "is not a list", remedy: `give a list of ${item.accepts}` });
        return fallback;
      }
      if (value.length < min)
        report.error({ path, value, cause: `has fewer than ${min} items`, remedy: "give at least one item" });
      return value.map((entry, index) => item.read(entry, `${path}[${index}]`, report));
    },
  };
}

/** A rule over a whole object, after its fields were read. */
export type CrossCheck<T> = (values: T, path: string, report: Report) => void;

/** An object with the given fields and no others. Absent means all defaults. */
export function object<S extends Shape>(
  fields: S,
  options: { readonly doc?: string; readonly check?: CrossCheck<Values<S>> } = {},
): Field<Values<S>> {
  const readFields = (source: Readonly<Record<string, unknown>>, path: string, report: Report): Values<S> => {
    reportUnknown(source, Object.keys(fields), path, report);
    const entries = Object.entries(fields).map(([key, inner]) => [
      key,
      inner.read(source[key], path === "" ? key : `${path}.${key}`, report),
    ]);
    const values = Object.fromEntries(entries) as Values<S>;
    options.check?.(values, path, report);
    return values;
  };
  const fallback = Object.fromEntries(Object.entries(fields).map(([key, inner]) => [key, inner.fallback])) as Values<S>;
  return {
    doc: options.doc ?? "",
    accepts: "an object",
    fallback,
    required: false,
    fields,
    read: (value, path, report) => {
      if (value === undefined || value === null) return readFields({}, path, report);
      if (isRecord(value)) return readFields(value, path, report);
      report.error({ path, value, cause: "is not an object", remedy: "give an object" });
      return fallback;
    },
  };
}

/** An object that may be absent as a whole. */
export function optional<T>(inner: Field<T>): Field<T | undefined> {
  return {
    ...inner,
    fallback: undefined,
    read: (value, path, report) =>
      value === undefined || value === null ? undefined : inner.read(value, path, report),
  };
}

/** No parameters are read; given ones are ignored with a warning. */
export function noParameters(): Field<Readonly<Record<string, never>>> {
  return {
    doc: "",
    accepts: "nothing",
    fallback: {},
    required: false,
    fields: {},
    read: (value, path, report) => {
      if (isRecord(value) && Object.keys(value).length > 0)
        report.warn(`${path}: this plugin has no parameters; ${Object.keys(value).join(", ")} ignored`);
      return {};
    },
  };
}

function reportUnknown(
  source: Readonly<Record<string, unknown>>,
  known: readonly string[],
  path: string,
  report: Report,
): void {
  for (const key of Object.keys(source)) {
    if (known.includes(key)) continue;
    const at = path === "" ? key : `${path}.${key}`;
    const remedy = suggest(key, known);
    if (report.unknownKeys === "warn") report.warn(`${at}: unknown parameter ignored; ${remedy}`);
    else report.error({ path: at, value: source[key], cause: `unknown parameter "${key}"`, remedy });
  }
}

/** Whether a JSON value is an object (not null, not a list). */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration text (`time.ParseDuration`); undefined when it is none. */
export function parseDurationMs(input: string): number | undefined {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(input);
  if (match === null) return undefined;
  let total = 0;
  for (const part of (match[2] ?? "").matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ""] ?? 0);
  }
  return match[1] === "-" ? -total : total;
}
