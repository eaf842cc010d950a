import {
  Schema,
  YAMLException,
  binaryTag,
  boolYaml11Tag,
  defineScalarTag,
  dump,
  floatCoreTag,
  loadAll,
  mapTag,
  mergeTag,
  NOT_RESOLVED,
  nullCoreTag,
  seqTag,
  strTag,
} from "js-yaml";

/** A plain value as YAML and JSON both can hold it. */
export type PlainValue = string | number | boolean | null | PlainValue[] | { [key: string]: PlainValue };

/** A text that is not YAML, or not plain data. */
export class YamlError extends Error {
  /** Line in the text, counted from 1; undefined where the text has no single place. */
  readonly line: number | undefined;

  constructor(message: string, line: number | undefined, cause?: unknown) {
    super(line === undefined ? message : `line ${line}: ${message}`, { cause });
    this.line = line;
  }
}

/** Nesting of one document, at most. */
const MAX_DEPTH = 100;
/** Values that one text may expand to by aliases: an alias bomb is refused, a big manifest is not. */
const MAX_VALUES = 2_000_000;
/** Aliases may repeat this many values for each character of the text. */
const MAX_VALUES_PER_CHARACTER = 10;

/** Texts beyond this many characters are looked at before they are read. */
const LONG_TEXT = 256 * 1024;
/** Least mean distance of commas and line ends in a long text: reading costs by the value, and no manifest comes near it. */
const MIN_CHARACTERS_PER_VALUE = 7;
const COMMA = 0x2c;
const NEWLINE = 0x0a;

/** Integers as Go's YAML reader takes them: octal `012` and `0o14`, `_` ignored, no base 60. */
const INTEGER = /^[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)$/;

/** Integers that need no closer look, as most are. */
const PLAIN_INTEGER = /^[1-9][0-9]{0,14}$/;

function parseInteger(source: string): number | typeof NOT_RESOLVED {
  if (PLAIN_INTEGER.test(source)) return Number(source);
  if (!INTEGER.test(source)) return NOT_RESOLVED;
  const digits = source.replaceAll("_", "").replace(/^[-+]/, "");
  const sign = source.startsWith("-") ? -1 : 1;
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  if (/^0[0-9]+$/.test(octal)) return sign * Number(octal);
  const value = Number(octal);
  return Number.isNaN(value) ? NOT_RESOLVED : sign * value;
}

const integerTag = defineScalarTag("tag:yaml.org,2002:int", {
  implicit: true,
  implicitFirstChars: "-+0123456789".split(""),
  resolve: parseInteger,
  identify: (value) => Number.isInteger(value),
  represent: String,
});

/** The types of `sigs.k8s.io/yaml`: YAML 1.1 booleans, Go's integers, merge keys, dates as text. */
const KUBERNETES_SCHEMA = new Schema([
  strTag,
  seqTag,
  mapTag,
  nullCoreTag,
  boolYaml11Tag,
  integerTag,
  floatCoreTag,
  mergeTag,
  binaryTag,
]);

/** What a text has where the parser may make of it more than plain values, each of its own: anchors, tags, numbers without end. */
const NOT_PLAIN = /[&!]|\.(?:inf|nan)/i;

/** Copies what the parser made into plain values: keys as text, bytes as base64, aliases spelled out. */
class Plain {
  readonly #limit: number;
  #count = 0;

  constructor(characters: number) {
    this.#limit = Math.min(MAX_VALUES, 1000 + characters * MAX_VALUES_PER_CHARACTER);
  }

  value(value: unknown): PlainValue {
    if (++this.#count > this.#limit) throw new YamlError("aliases expand to too many values", undefined);
    if (value === null || value === undefined) return null;
    if (typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number") return this.#number(value);
    if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
    if (Array.isArray(value)) return value.map((item) => this.value(item));
    if (typeof value !== "object") throw new YamlError(`unsupported value of type ${typeof value}`, undefined);
    return this.#map(value);
  }

  #number(value: number): number {
    if (Number.isFinite(value)) return value;
    throw new YamlError(`${value} has no JSON form; quote it to write text`, undefined);
  }

  #map(value: object): { [key: string]: PlainValue } {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.value(item)]));
  }
}

function lineOf(error: YAMLException): number | undefined {
  const line = error.mark?.line;
  return line === undefined ? undefined : line + 1;
}

/** Refuses a long text of next to nothing but separators, whose reading would hold up everything else. */
function checkDensity(text: string): void {
  if (text.length <= LONG_TEXT) return;
  let separators = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === NEWLINE) separators++;
  }
  const most = Math.floor(text.length / MIN_CHARACTERS_PER_VALUE);
  if (separators <= most) return;
  const problem = `${separators} commas and line ends in ${text.length} characters, more than the ${most} that are read`;
  throw new YamlError(`${problem}; split the text, or leave out what is empty`, undefined);
}

/**
 * Reads every document of a YAML stream as Kubernetes does (`sigs.k8s.io/yaml`): JSON is YAML too, duplicate keys are
 * refused, `yes`/`no`/`on`/`off` are booleans, merge keys apply, dates stay text. Empty documents are left out.
 * Errors: `YamlError` with the line, for the whole stream; also for alias bombs, for nesting beyond 100 levels, and
 * for texts of more than 256 Ki characters that are next to nothing but separators.
 */
export function parseYamlDocuments(text: string): PlainValue[] {
  checkDensity(text);
  try {
    const documents = loadAll(text, { schema: KUBERNETES_SCHEMA, maxDepth: MAX_DEPTH });
    const given = documents.filter((document) => document !== null && document !== undefined);
    if (!NOT_PLAIN.test(text)) return given as PlainValue[];
    const plain = new Plain(text.length);
    return given.map((document) => plain.value(document));
  } catch (error) {
    if (error instanceof YAMLException) throw new YamlError(error.reason, lineOf(error), error);
    throw error;
  }
}

/**
 * Reads a text with one YAML document; an empty text gives null. Errors: `YamlError`, also for more than one document.
 */
export function parseYaml(text: string): PlainValue {
  const documents = parseYamlDocuments(text);
  if (documents.length > 1) throw new YamlError(`one document expected, found ${documents.length}`, undefined);
  return documents[0] ?? null;
}

/** Writes one YAML document that every YAML reader takes back as the same value; long lines are not folded. */
export function dumpYaml(value: unknown): string {
  return dump(value, { noRefs: true, lineWidth: -1, seqNoIndent: true });
}
