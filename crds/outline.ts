import type { Json, JsonSchema, ValidationRule } from "./schema/types.ts";

/** Schemas that outlines refer to by name: `@PodSpec`. */
export type Definitions = Readonly<Record<string, JsonSchema>>;

/**
 * Reads an outline: the one source of a kind's fields. Each line is a field, nested by two spaces under the object, list
 * of objects or map of objects that holds it:
 *
 *     replicas: int min=0              # Number of pods.
 *     containers: []object keys=name   # Containers of the pod.
 *       name!: string                  # Required.
 *       protocol=TCP: string enum=TCP|UDP
 *
 * Types: `string int int64 integer number bool time quantity intOrString any object`, `@Name` for a definition, `[]T` for lists
 * (atomic, or by `keys=`), `set[T]` for sets, `map[T]` for maps. `any` keeps whatever it holds. `preserve` keeps unknown
 * fields of an object, `atomic` makes it one value for server-side apply, `nullable` allows null, `min`, `max`, `enum` and
 * `pattern` bound a value. A line under a field that starts with `?` is a rule (CEL) with its message; it is about the
 * object, or each object of the list, that holds it; with `?[]` it is about the list:
 *
 *     ? !has(self.min) || self.min <= self.max :: min must not exceed max
 *
 * `:: .field :: message` tells it at a field. Throws `Error` with the line for what it cannot read.
 */
export function readOutline(text: string, definitions: Definitions = {}): JsonSchema {
  const lines = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => readRule(line) ?? readLine(line));
  const reader = new Reader(lines, definitions);
  return reader.object(lines[0]?.indent ?? 0);
}

/** A rule line. */
interface RuleLine {
  readonly indent: number;
  readonly ofList: boolean;
  readonly rule: ValidationRule;
}

interface Line {
  readonly indent: number;
  readonly name: string;
  readonly required: boolean;
  readonly fallback: string | undefined;
  readonly type: string;
  readonly options: Readonly<Record<string, string>>;
  readonly description: string | undefined;
  readonly text: string;
}

const RULE = /^(\s*)\?(\[\])? (.*?) :: (?:(\.\S+) :: )?(.*)$/;

function readRule(text: string): RuleLine | undefined {
  const match = RULE.exec(text);
  if (match === null) return undefined;
  const [, indent = "", ofList, rule = "", fieldPath, message = ""] = match;
  const at = fieldPath === undefined ? {} : { fieldPath };
  return { indent: indent.length, ofList: ofList !== undefined, rule: { rule, message, ...at } };
}

const LINE = /^(\s*)([\w.$-]+)(!?)(?:=("[^"]*"|\{.*?\}|\[.*?\]|[^\s:]+))?: (\S+)((?: [\w]+(?:=\S+)?)*)\s*(?:# (.*))?$/;

function readLine(text: string): Line {
  const match = LINE.exec(text);
  if (match === null) throw new Error(`outline: cannot read ${JSON.stringify(text)}`);
  const [, indent = "", name = "", required, fallback, type = "", options = "", description] = match;
  const pairs = options
    .trim()
    .split(" ")
    .filter((option) => option !== "")
    .map((option) => [option.split("=")[0] ?? "", option.slice(option.indexOf("=") + 1)] as const);
  return {
    indent: indent.length,
    name,
    required: required === "!",
    fallback,
    type,
    options: Object.fromEntries(pairs),
    description,
    text,
  };
}

const QUANTITY: JsonSchema = { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] };

/** What a quantity looks like, by Kubernetes. */
export const QUANTITY_PATTERN =
  "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";

/** Scalars by name. */
const SCALARS: Definitions = {
  string: { type: "string" },
  int: { type: "integer", format: "int32" },
  integer: { type: "integer" },
  int64: { type: "integer", format: "int64" },
  number: { type: "number" },
  bool: { type: "boolean" },
  time: { type: "string", format: "date-time" },
  intOrString: QUANTITY,
  quantity: {
    ...QUANTITY,
    pattern: QUANTITY_PATTERN,
  },
  any: { "x-kubernetes-preserve-unknown-fields": true },
};

class Reader {
  readonly #lines: readonly (Line | RuleLine)[];
  readonly #definitions: Definitions;
  #next = 0;

  constructor(lines: readonly (Line | RuleLine)[], definitions: Definitions) {
    this.#lines = lines;
    this.#definitions = definitions;
  }

  /** The object whose fields start at the next line, with that indentation. */
  object(indent: number): JsonSchema {
    const properties: Record<string, JsonSchema> = {};
    const required: string[] = [];
    const rules = this.#rules(indent, false);
    for (
      let line = this.#lines[this.#next];
      line !== undefined && line.indent >= indent;
      line = this.#lines[this.#next]
    ) {
      if (line.indent > indent || !("text" in line))
        throw new Error(`outline: line ${this.#next + 1} (${JSON.stringify(line)}) is nested under no object`);
      this.#next++;
      properties[line.name] = this.#field(line);
      if (line.required) required.push(line.name);
    }
    return {
      type: "object",
      properties,
      ...(required.length === 0 ? {} : { required }),
      ...(rules.length === 0 ? {} : { "x-kubernetes-validations": rules }),
    };
  }

  /** Takes the rule lines at this indentation. */
  #rules(indent: number, ofList: boolean): ValidationRule[] {
    const found: ValidationRule[] = [];
    for (
      let line = this.#lines[this.#next];
      line !== undefined && "rule" in line && line.indent === indent && line.ofList === ofList;
      line = this.#lines[this.#next]
    ) {
      found.push(line.rule);
      this.#next++;
    }
    return found;
  }

  #field(line: Line): JsonSchema {
    const next = this.#lines[this.#next];
    const listRules = next !== undefined && next.indent > line.indent ? this.#rules(next.indent, true) : [];
    const schema = this.#type(line.type, line);
    return {
      ...schema,
      ...(listRules.length === 0 ? {} : { "x-kubernetes-validations": listRules }),
      ...constraints(line, schema),
      ...(line.description === undefined ? {} : { description: line.description }),
      ...(line.fallback === undefined ? {} : { default: parseDefault(line.fallback, schema) }),
    };
  }

  #type(type: string, line: Line): JsonSchema {
    if (type.startsWith("[]")) return this.#list(type.slice(2), line);
    if (type.startsWith("set["))
      return listOf(this.#type(type.slice(4, -1), line), { "x-kubernetes-list-type": "set" });
    if (type.startsWith("map["))
      return {
        type: "object",
        additionalProperties: this.#type(type.slice(4, -1), line),
        ...(line.options["atomic"] === undefined ? {} : { "x-kubernetes-map-type": "atomic" }),
      };
    if (type === "object") return this.#nested(line);
    const found = type.startsWith("@") ? this.#definitions[type.slice(1)] : SCALARS[type];
    if (found === undefined) throw new Error(`outline: unknown type in ${JSON.stringify(line.text)}`);
    return found;
  }

  #nested(line: Line): JsonSchema {
    const first = this.#lines[this.#next];
    const empty: JsonSchema = { type: "object" };
    const schema = first !== undefined && first.indent > line.indent ? this.object(first.indent) : empty;
    const { preserve, atomic } = line.options;
    return {
      ...schema,
      ...(preserve === undefined ? {} : { "x-kubernetes-preserve-unknown-fields": true }),
      ...(atomic === undefined ? {} : { "x-kubernetes-map-type": "atomic" }),
    };
  }

  #list(type: string, line: Line): JsonSchema {
    const keys = line.options["keys"]?.split(",");
    const items = this.#type(type, line);
    if (keys === undefined) return listOf(items, { "x-kubernetes-list-type": "atomic" });
    return listOf(items, {
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": keys,
      "x-kubernetes-patch-merge-key": keys[0]!,
      "x-kubernetes-patch-strategy": "merge",
    });
  }
}

const listOf = (items: JsonSchema, kind: Partial<JsonSchema>): JsonSchema => ({ type: "array", items, ...kind });

/** What `min` and `max` bound, by type. */
const BOUNDS: Readonly<Record<string, readonly [least: string, most: string]>> = {
  array: ["minItems", "maxItems"],
  string: ["minLength", "maxLength"],
  object: ["minProperties", "maxProperties"],
  number: ["minimum", "maximum"],
};

function constraints(line: Line, schema: JsonSchema): Partial<JsonSchema> {
  const { min, max, enum: values, pattern, nullable } = line.options;
  const [lower, upper] = [min, max].map((text) => (text === undefined ? undefined : Number(text)));
  const [least, most] = BOUNDS[schema.type ?? "number"] ?? BOUNDS["number"]!;
  const entries = Object.entries({ [least]: lower, [most]: upper }).filter(([, bound]) => bound !== undefined);
  return {
    ...Object.fromEntries(entries),
    ...(values === undefined ? {} : { enum: values.split("|").map((value) => enumValue(value, schema)) }),
    ...(pattern === undefined ? {} : { pattern }),
    ...(nullable === undefined ? {} : { nullable: true }),
  };
}

function enumValue(text: string, schema: JsonSchema): Json {
  if (schema.type === "integer" || schema.type === "number") return Number(text);
  return text === '""' ? "" : text;
}

function parseDefault(text: string, schema: JsonSchema): Json {
  if (schema.type === "string" && !text.startsWith('"')) return text;
  const value: Json = JSON.parse(text);
  return value;
}
