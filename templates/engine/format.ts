import { FunctionError } from "./functions.ts";
import { formatFloat, formatValue, indirect, typeName } from "./values.ts";
import type { Value } from "./values.ts";

const VERB = /%(?<flags>[-+# 0]*)(?<width>\d+)?(?:\.(?<precision>\d*))?(?<verb>.)?/gsu;
/** Width and precision at most, so that a format cannot blow up the output. */
const MAX_WIDTH = 1000;

interface Spec {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly verb: string;
}

/** A Go string literal of the text (`%q`). */
function quote(text: string): string {
  const escaped = Array.from(text, (character) => {
    if (character === '"' || character === "\\") return `\\${character}`;
    const short = { "\n": "\\n", "\t": "\\t", "\r": "\\r", "\x07": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v" }[
      character
    ];
    if (short !== undefined) return short;
    const code = character.codePointAt(0) ?? 0;
    return code < 0x20 || code === 0x7f ? `\\x${code.toString(16).padStart(2, "0")}` : character;
  });
  return `"${escaped.join("")}"`;
}

const bad = (verb: string, value: Value): string => `%!${verb}(${typeName(value)}=${formatValue(value)})`;

function formatInteger(value: bigint, { verb, flags }: Spec): string | undefined {
  const base = { d: 10, v: 10, x: 16, X: 16, o: 8, b: 2 }[verb];
  if (verb === "c") return String.fromCodePoint(Number(BigInt.asUintN(21, value)) % 0x110000);
  if (base === undefined) return undefined;
  const digits = value.toString(base);
  const text = verb === "X" ? digits.toUpperCase() : digits;
  return flags.includes("+") && verb !== "v" && value >= 0n ? `+${text}` : text;
}

function formatNumber(value: number, { verb, precision, flags }: Spec): string | undefined {
  const text =
    verb === "f" || verb === "F"
      ? value.toFixed(Math.min(precision ?? 6, 100))
      : verb === "e"
        ? value.toExponential(Math.min(precision ?? 6, 100)).replace(/e([+-])(\d)$/, "e$10$2")
        : verb === "v" || verb === "g"
          ? precision === undefined
            ? formatFloat(value)
            : formatFloat(Number(value.toPrecision(Math.min(Math.max(precision, 1), 100))))
          : undefined;
  return text !== undefined && flags.includes("+") && verb !== "v" && value >= 0 ? `+${text}` : text;
}

function formatString(value: string, { verb, precision }: Spec): string | undefined {
  const text = precision === undefined ? value : Array.from(value).slice(0, precision).join("");
  if (verb === "s" || verb === "v") return text;
  if (verb === "q") return quote(text);
  if (verb === "x") return Buffer.from(text).toString("hex");
  return verb === "X" ? Buffer.from(text).toString("hex").toUpperCase() : undefined;
}

function formatOne(given: Value, spec: Spec): string {
  const value = indirect(given);
  if (spec.verb === "T") return typeName(given);
  if (value === null) return spec.verb === "v" ? "<nil>" : `%!${spec.verb}(<nil>)`;
  const text =
    typeof value === "bigint"
      ? formatInteger(value, spec)
      : typeof value === "number"
        ? formatNumber(value, spec)
        : typeof value === "string"
          ? formatString(value, spec)
          : typeof value === "boolean"
            ? spec.verb === "t" || spec.verb === "v"
              ? String(value)
              : undefined
            : spec.verb === "v" || spec.verb === "s"
              ? formatValue(value)
              : undefined;
  return text ?? bad(spec.verb, value);
}

function pad(text: string, { flags, width, verb }: Spec): string {
  const missing = width - Array.from(text).length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (!flags.includes("0") || "sqvT".includes(verb)) return " ".repeat(missing) + text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

/** Go's `fmt.Sprintf` for the verbs v s q d x X o b c t f F e g T, with flags, width and precision. */
export function sprintf(format: string, values: readonly Value[]): string {
  let next = 0;
  const text = format.replace(VERB, (...match) => {
    const groups: Record<string, string | undefined> = match.at(-1);
    const verb = groups["verb"];
    if (verb === "%") return "%";
    if (verb === undefined) return "%!(NOVERB)";
    const width = Number(groups["width"] ?? 0);
    const precision = groups["precision"] === undefined ? undefined : Number(groups["precision"]);
    if (width > MAX_WIDTH || (precision ?? 0) > MAX_WIDTH) throw new FunctionError(`printf: width above ${MAX_WIDTH}`);
    const value = values[next++];
    const spec: Spec = { flags: groups["flags"] ?? "", width, precision, verb };
    return value === undefined ? `%!${verb}(MISSING)` : pad(formatOne(value, spec), spec);
  });
  const extra = values.slice(next).map((value) => `${typeName(value)}=${formatValue(value)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(", ")})`;
}

/** Go's `fmt.Sprint`: a blank between operands when neither is a string. */
export function sprint(values: readonly Value[]): string {
  let text = "";
  for (const [index, value] of values.entries()) {
    const previous = values[index - 1];
    if (index > 0 && typeof value !== "string" && typeof previous !== "string") text += " ";
    text += formatValue(value);
  }
  return text;
}

/** Go's `fmt.Sprintln`. */
export function sprintln(values: readonly Value[]): string {
  return `${values.map(formatValue).join(" ")}\n`;
}
