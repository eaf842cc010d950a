import { numberFormat, stringFormat } from "./formats.ts";
import { OBJECT_META } from "./object-meta.ts";
import type { FieldError, Json, JsonSchema, ValidationRule } from "./types.ts";

/** Evaluates the prepared rules of one position. `path` is the position's path, for the errors. */
export type RuleCheck = (self: Json, oldSelf: Json | undefined, path: string) => FieldError[];

/** Evaluates `x-kubernetes-validations`. */
export interface RuleEngine {
  /** Prepares the rules of one schema position; called once per distinct schema. */
  compile(rules: readonly ValidationRule[], schema: JsonSchema): RuleCheck;
}

/** A schema prepared for walking: children resolved, patterns compiled, key sets built. Shared like its schema. */
export interface SchemaNode {
  readonly schema: JsonSchema;
  /** Type names a value may have; empty when the schema names none. */
  readonly types: readonly string[];
  readonly nullable: boolean;
  readonly properties: ReadonlyMap<string, SchemaNode>;
  readonly propertyDefaults: readonly (readonly [key: string, value: Json])[];
  /** Node of map values; `undefined` when the object is not a map. */
  readonly values: SchemaNode | undefined;
  readonly items: SchemaNode | undefined;
  readonly required: readonly string[];
  readonly preservesUnknown: boolean;
  readonly intOrString: boolean;
  readonly enumeration: ReadonlySet<string> | undefined;
  readonly pattern: RegExp | undefined;
  readonly stringFormat: ((text: string) => boolean) | undefined;
  readonly numberFormat: ((number: number) => boolean) | undefined;
  /** Keys of a list map; empty otherwise. */
  readonly listKeys: readonly string[];
  readonly isSet: boolean;
  readonly allOf: readonly SchemaNode[];
  readonly anyOf: readonly SchemaNode[];
  readonly oneOf: readonly SchemaNode[];
  readonly not: SchemaNode | undefined;
  /** Checks the rules of the position; undefined where it has none, or no engine. */
  readonly rules: RuleCheck | undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Prepares schemas; one schema object gives one node, so shared sub-schemas stay shared. */
export interface NodeCompiler {
  compile(schema: JsonSchema): SchemaNode;
}

function typesOf(schema: JsonSchema): readonly string[] {
  if (schema["x-kubernetes-int-or-string"] === true) return ["integer", "string"];
  return schema.type === undefined ? [] : [schema.type];
}

/** An object with `apiVersion` and `kind`: its `metadata` follows ObjectMeta whatever the schema says. */
function isResource(schema: JsonSchema): boolean {
  if (schema["x-kubernetes-embedded-resource"] === true) return true;
  const properties = schema.properties;
  return properties?.["apiVersion"] !== undefined && properties["kind"] !== undefined && "metadata" in properties;
}

function propertiesOf(schema: JsonSchema): Readonly<Record<string, JsonSchema>> {
  if (!isResource(schema)) return schema.properties ?? {};
  const text: JsonSchema = { type: "string" };
  return { apiVersion: text, kind: text, ...schema.properties, metadata: OBJECT_META };
}

/** `anyOf: [integer, string]` beside int-or-string only repeats the type. */
function isTypeEcho(schema: JsonSchema): boolean {
  const entries = schema.anyOf ?? [];
  return entries.length === 2 && entries.every((entry) => Object.keys(entry).join() === "type");
}

/**
 * Creates a compiler with its own cache; without an engine rules are left out. A `pattern` or a rule that is no valid
 * expression throws SyntaxError.
 */
export function createNodeCompiler(engine?: RuleEngine): NodeCompiler {
  const cache = new WeakMap<JsonSchema, SchemaNode>();
  const compile = (schema: JsonSchema): SchemaNode => {
    const known = cache.get(schema);
    if (known !== undefined) return known;
    const node = scalarParts(schema, engine);
    cache.set(schema, node);
    linkChildren(node, schema, compile);
    return node;
  };
  return { compile };
}

function scalarParts(schema: JsonSchema, engine: RuleEngine | undefined): Mutable<SchemaNode> {
  const rules = schema["x-kubernetes-validations"];
  const listType = schema["x-kubernetes-list-type"];
  return {
    schema,
    types: typesOf(schema),
    nullable: schema.nullable === true,
    properties: new Map(),
    propertyDefaults: [],
    values: undefined,
    items: undefined,
    required: schema.required ?? [],
    preservesUnknown: schema["x-kubernetes-preserve-unknown-fields"] === true || schema.additionalProperties === true,
    intOrString: schema["x-kubernetes-int-or-string"] === true,
    enumeration: schema.enum && new Set(schema.enum.map((value) => JSON.stringify(value))),
    pattern: schema.pattern === undefined ? undefined : new RegExp(schema.pattern),
    stringFormat: stringFormat(schema.format),
    numberFormat: numberFormat(schema.format),
    listKeys: listType === "map" ? (schema["x-kubernetes-list-map-keys"] ?? []) : [],
    isSet: listType === "set" || schema.uniqueItems === true,
    allOf: [],
    anyOf: [],
    oneOf: [],
    not: undefined,
    rules: rules === undefined ? undefined : engine?.compile(rules, schema),
  };
}

function linkChildren(
  node: Mutable<SchemaNode>,
  schema: JsonSchema,
  compile: (schema: JsonSchema) => SchemaNode,
): void {
  const entries = Object.entries(propertiesOf(schema));
  node.properties = new Map(entries.map(([key, child]) => [key, compile(child)]));
  node.propertyDefaults = entries.flatMap(([key, child]) =>
    child.default === undefined ? [] : [[key, child.default] as const],
  );
  const extra = schema.additionalProperties;
  if (typeof extra === "object") node.values = compile(extra);
  if (schema.items !== undefined) node.items = compile(schema.items);
  node.allOf = (schema.allOf ?? []).map(compile);
  node.anyOf = node.intOrString && isTypeEcho(schema) ? [] : (schema.anyOf ?? []).map(compile);
  node.oneOf = (schema.oneOf ?? []).map(compile);
  if (schema.not !== undefined) node.not = compile(schema.not);
}
