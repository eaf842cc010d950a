import { closest } from "../crds/suggest.ts";

/** Kinds of flag values. */
export type FlagKind = "text" | "int" | "bool" | "duration" | "bytes" | "list";

/** Flags by their current name, with what they mean. */
export type FlagTable = Readonly<Record<string, readonly [kind: FlagKind, meaning: string]>>;

/** Values as written, by current name, and what is wrong with the command line. */
export interface RawFlags {
  readonly values: ReadonlyMap<string, string>;
  readonly errors: string[];
  /** Whether `-h` or `--help` is among them. */
  readonly help: boolean;
}

/**
 * Splits a command line as Go's flag packages do: one or two dashes, `--name value` or `--name=value`, booleans without a
 * value. Names may be written in camelCase, the spelling of old releases. Empty elements, which templates leave behind, and
 * positional ones are passed over; the last of duplicates counts, but lists grow with each.
 */
export function splitFlags(args: readonly string[], table: FlagTable): RawFlags {
  const values = new Map<string, string>();
  const errors: string[] = [];
  let help = false;
  for (let index = 0; index < args.length; index++) {
    const match = /^--?([A-Za-z][\w.-]*)(?:=([\s\S]*))?$/.exec(args[index]!);
    if (match === null) continue;
    const [, written = "", inline] = match;
    const name = Object.hasOwn(table, written) ? written : toKebab(written);
    if (/^(h|help)$/.test(written)) help = true;
    else if (!Object.hasOwn(table, name)) errors.push(unknownFlag(written, table));
    else if (inline !== undefined) put(values, name, inline, table);
    else if (table[name]?.[0] === "bool") values.set(name, "true");
    else if (index + 1 < args.length) put(values, name, args[++index]!, table);
    else errors.push(`--${written}: needs a value`);
  }
  return { values, errors, help };
}

function put(values: Map<string, string>, name: string, value: string, table: FlagTable): void {
  const former = table[name]?.[0] === "list" ? values.get(name) : undefined;
  values.set(name, former === undefined ? value : `${former},${value}`);
}

const toKebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The error for a name that the table does not hold, with the one that is probably meant. */
export function unknownFlag(name: string, table: FlagTable): string {
  const likely = closest(toKebab(name), Object.keys(table));
  return `--${name}: unknown flag${likely === undefined ? "" : `; did you mean --${likely}?`}`;
}

/** Flags that are not as the others, by current name. */
export interface FlagNotes {
  /** Still work; what replaces them. */
  readonly deprecated: Readonly<Record<string, string>>;
  /** Are read and change nothing; why. */
  readonly withoutEffect: Readonly<Record<string, string>>;
}

/** A warning for each given flag that there is a note on. */
export function noteWarnings(flags: FlagReader, { deprecated, withoutEffect }: FlagNotes): string[] {
  const given = (notes: Readonly<Record<string, string>>): [string, string][] =>
    Object.entries(notes).filter(([name]) => flags.has(name));
  return [
    ...given(deprecated).map(([name, by]) => `--${name} is deprecated: use ${by}`),
    ...given(withoutEffect).map(([name, why]) => `--${name} has no effect: ${why}`),
  ];
}

/** The text of `--help`: what the program is, and a line for each flag. */
export function usageText(program: string, table: FlagTable, { deprecated, withoutEffect }: FlagNotes): string {
  const lines = Object.entries(table).map(([name, [kind, meaning]]) => {
    const written = `${name.length === 1 ? "-" : "--"}${name} ${kind}`;
    const [by, why] = [deprecated[name], withoutEffect[name]];
    const note = by ? ` (deprecated: use ${by})` : why ? ` (no effect: ${why})` : "";
    return `  ${written.padEnd(54)} ${meaning}${note}`;
  });
  return `${program}\n\n${lines.join("\n")}\n`;
}

/** Reads typed values; what cannot be read is added to the errors and its default is used. */
export class FlagReader {
  readonly #raw: RawFlags;

  constructor(raw: RawFlags) {
    this.#raw = raw;
  }

  has(name: string): boolean {
    return this.#raw.values.has(name);
  }

  text(name: string): string | undefined {
    const value = this.#raw.values.get(name);
    return value === "" ? undefined : value;
  }

  /** The text as it was given, an empty one included; undefined where the flag was not. */
  given(name: string): string | undefined {
    return this.#raw.values.get(name);
  }

  int(name: string, fallback: number): number {
    return this.#read(name, fallback, "write a whole number", (text) =>
      /^-?\d+$/.test(text) ? Number(text) : undefined,
    );
  }

  port(name: string, fallback: number): number {
    return this.#read(name, fallback, "write a port from 0 to 65535", parsePort);
  }

  bool(name: string, fallback: boolean): boolean {
    return this.#read(name, fallback, "write true or false", (text) => BOOLEANS.get(text.toLowerCase()));
  }

  /** Milliseconds. */
  duration(name: string, fallbackMs: number): number {
    return this.#read(name, fallbackMs, "write a duration such as 50ms or 1m30s", parseDuration);
  }

  bytes(name: string, fallback: number): number {
    return this.#read(name, fallback, "write a non-negative size such as 10MiB", parseBytes);
  }

  list(name: string): string[] {
    return (this.text(name) ?? "").split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]));
  }

  #read<T>(name: string, fallback: T, remedy: string, parse: (text: string) => T | undefined): T {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = parse(text);
    if (value === undefined) this.#raw.errors.push(`--${name}: invalid value ${JSON.stringify(text)}; ${remedy}`);
    return value ?? fallback;
  }
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["t", true],
  ["1", true],
  ["false", false],
  ["f", false],
  ["0", false],
]);

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A Go duration in milliseconds; undefined where the text is none or negative. */
function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text) return undefined;
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNIT_MS[unit!] ?? 0), 0);
}

const SIZE_FACTOR: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** A Kubernetes quantity of bytes, with or without a final `B`. */
function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(k|M|G|Ki|Mi|Gi)?[Bb]?$/.exec(text);
  return match === null ? undefined : Math.ceil(Number(match[1]) * SIZE_FACTOR[match[2] ?? ""]!);
}

/** A port number, or undefined. */
export function parsePort(text: string): number | undefined {
  const port = Number(text);
  return /^\d+$/.test(text) && port <= 65_535 ? port : undefined;
}
