import { isObject, sameJson } from "../json.ts";
import type { SchemaNode } from "./nodes.ts";
import { childPath, itemPath, typeName } from "./paths.ts";
import type { FieldError, FieldErrorKind, Json, JsonObject } from "./types.ts";

/** Beyond this many errors the walk ends; a manifest with more is not helped by the rest. */
const MAX_ERRORS = 500;

interface Walk {
  readonly errors: FieldError[];
  /** Errors so far after which rules make no sense: what is there is not of the right shape. */
  blocking: number;
}

/** Errors of shape; a number out of bounds is none. */
const BLOCKING: ReadonlySet<FieldErrorKind> = new Set<FieldErrorKind>([
  "TypeInvalid",
  "Required",
  "NotSupported",
  "TooLong",
  "TooMany",
]);

type Segment = { readonly parent: Segment | undefined; readonly key: string | number };

/** Paths are linked lists while walking and become text only for an error. */
function pathText(segment: Segment | undefined): string {
  if (segment === undefined) return "";
  const parent = pathText(segment.parent);
  return typeof segment.key === "number" ? itemPath(parent, segment.key) : childPath(parent, segment.key);
}

/** Checks a value; returns every violation, at most 500. */
export function validateNode(node: SchemaNode, value: Json, oldValue?: Json): FieldError[] {
  const walk: Walk = { errors: [], blocking: 0 };
  check(walk, node, value, oldValue, undefined);
  return walk.errors;
}

function report(walk: Walk, at: Segment | undefined, kind: FieldErrorKind, value: Json | undefined, message: string) {
  if (BLOCKING.has(kind)) walk.blocking++;
  walk.errors.push({ path: pathText(at), kind, value, message });
}

/** Kubernetes names the field again in the detail: `spec.x in body should …`. */
function invalid(walk: Walk, at: Segment | undefined, value: Json, detail: string): void {
  report(walk, at, "Invalid", value, `${pathText(at)} in body ${detail}`);
}

function check(walk: Walk, node: SchemaNode, value: Json, old: Json | undefined, at: Segment | undefined): void {
  if (value === null && node.nullable) return;
  if (old !== undefined && sameJson(value, old)) return;
  const blockingBefore = walk.blocking;
  if (walk.errors.length >= MAX_ERRORS || !hasType(walk, node, value, at)) return;
  if (node.enumeration !== undefined) checkEnum(walk, node, value, at);
  if (typeof value === "string") checkString(walk, node, value, at);
  else if (typeof value === "number") checkNumber(walk, node, value, at);
  else if (Array.isArray(value)) checkArray(walk, node, value, old, at);
  else if (typeof value === "object" && value !== null) checkObject(walk, node, value, old, at);
  checkCombinations(walk, node, value, at);
  if (node.rules !== undefined && walk.blocking === blockingBefore)
    walk.errors.push(...node.rules(value, old, pathText(at)));
}

function hasType(walk: Walk, node: SchemaNode, value: Json, at: Segment | undefined): boolean {
  if (node.types.length === 0) return true;
  const actual = typeName(value);
  if (node.types.includes(actual) || (actual === "integer" && node.types.includes("number"))) return true;
  report(
    walk,
    at,
    "TypeInvalid",
    actual,
    `${pathText(at)} in body must be of type ${node.types.join(",")}: "${actual}"`,
  );
  return false;
}

function checkEnum(walk: Walk, node: SchemaNode, value: Json, at: Segment | undefined): void {
  if (node.enumeration?.has(JSON.stringify(value)) === true) return;
  report(walk, at, "NotSupported", value, `supported values: ${[...(node.enumeration ?? [])].join(", ")}`);
}

function checkString(walk: Walk, node: SchemaNode, value: string, at: Segment | undefined): void {
  const { minLength, maxLength, pattern, format } = node.schema;
  if (minLength !== undefined && characters(value) < minLength) {
    invalid(walk, at, value, `should be at least ${minLength} chars long`);
  }
  if (maxLength !== undefined && characters(value) > maxLength) {
    report(walk, at, "TooLong", value, `may not be more than ${maxLength} bytes`);
  }
  if (node.pattern !== undefined && !node.pattern.test(value)) {
    invalid(walk, at, value, `should match '${pattern}'`);
  }
  if (node.stringFormat !== undefined && !node.stringFormat(value)) {
    invalid(walk, at, value, `must be of type ${format}: ${JSON.stringify(value)}`);
  }
}

function characters(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length - 1; index++) {
    if (text.codePointAt(index)! > 0xffff) {
      count--;
      index++;
    }
  }
  return count;
}

function checkNumber(walk: Walk, node: SchemaNode, value: number, at: Segment | undefined): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, format } = node.schema;
  if (minimum !== undefined && (exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    invalid(walk, at, value, `should be greater than ${exclusiveMinimum === true ? "" : "or equal to "}${minimum}`);
  }
  if (maximum !== undefined && (exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    invalid(walk, at, value, `should be less than ${exclusiveMaximum === true ? "" : "or equal to "}${maximum}`);
  }
  if (multipleOf !== undefined && value % multipleOf !== 0) {
    invalid(walk, at, value, `should be a multiple of ${multipleOf}`);
  }
  if (node.numberFormat !== undefined && !node.numberFormat(value)) {
    invalid(walk, at, value, `must be of type ${format}: "${value}"`);
  }
}

function checkArray(walk: Walk, node: SchemaNode, list: Json[], old: Json | undefined, at: Segment | undefined): void {
  const { minItems, maxItems } = node.schema;
  if (maxItems !== undefined && list.length > maxItems) {
    report(walk, at, "TooMany", list.length, `must have at most ${maxItems} items`);
  }
  if (minItems !== undefined && list.length < minItems) {
    invalid(walk, at, list.length, `should have at least ${minItems} items`);
  }
  if (node.listKeys.length > 0 || node.isSet) checkUnique(walk, node, list, at);
  const items = node.items;
  if (items === undefined) return;
  const before = oldItems(node, old);
  for (let index = 0; index < list.length; index++) {
    const item = list[index]!;
    check(walk, items, item, before?.get(identity(node, item)), { parent: at, key: index });
  }
}

/** The elements of a list map before an update; those of other lists have no identity. */
function oldItems(node: SchemaNode, old: Json | undefined): ReadonlyMap<string, Json> | undefined {
  if (node.listKeys.length === 0 || !Array.isArray(old)) return undefined;
  return new Map(old.map((item) => [identity(node, item), item]));
}

function checkUnique(walk: Walk, node: SchemaNode, list: Json[], at: Segment | undefined): void {
  if (list.length < 2) return;
  const seen = new Set<string>();
  for (const [index, item] of list.entries()) {
    const key = identity(node, item);
    if (seen.has(key)) report(walk, { parent: at, key: index }, "Duplicate", JSON.parse(key) as Json, "");
    seen.add(key);
  }
}

/** What must differ between elements: the list-map keys present in the element, or the whole element of a set. */
function identity(node: SchemaNode, item: Json): string {
  if (node.listKeys.length === 0 || !isObject(item)) return JSON.stringify(item);
  const keys: JsonObject = {};
  for (const key of node.listKeys) if (item[key] !== undefined) keys[key] = item[key];
  return JSON.stringify(keys);
}

function checkObject(walk: Walk, node: SchemaNode, value: JsonObject, old: Json | undefined, at: Segment | undefined) {
  for (const key of node.required) {
    if (value[key] === undefined) report(walk, { parent: at, key }, "Required", undefined, "");
  }
  checkSize(walk, node, value, at);
  const before = isObject(old) ? old : undefined;
  for (const key in value) {
    const child = node.properties.get(key) ?? node.values;
    if (child === undefined) continue;
    const old = before !== undefined && Object.hasOwn(before, key) ? before[key] : undefined;
    check(walk, child, value[key]!, old, { parent: at, key });
  }
}

function checkSize(walk: Walk, node: SchemaNode, value: JsonObject, at: Segment | undefined): void {
  const { minProperties, maxProperties } = node.schema;
  if (minProperties === undefined && maxProperties === undefined) return;
  const size = Object.keys(value).length;
  if (maxProperties !== undefined && size > maxProperties) {
    report(walk, at, "TooMany", size, `must have at most ${maxProperties} items`);
  }
  if (minProperties !== undefined && size < minProperties) {
    invalid(walk, at, size, `should have at least ${minProperties} properties`);
  }
}

function passes(node: SchemaNode, value: Json): boolean {
  return validateNode(node, value).length === 0;
}

function checkCombinations(walk: Walk, node: SchemaNode, value: Json, at: Segment | undefined): void {
  if (node.allOf.length > 0 && !node.allOf.every((option) => passes(option, value))) {
    report(walk, at, "Invalid", value, `"${pathText(at)}" must validate all the schemas (allOf)`);
  }
  if (node.anyOf.length > 0 && !node.anyOf.some((option) => passes(option, value))) {
    report(walk, at, "Invalid", value, `"${pathText(at)}" must validate at least one schema (anyOf)`);
  }
  const valid = node.oneOf.filter((option) => passes(option, value)).length;
  if (node.oneOf.length > 0 && valid !== 1) {
    const found = valid === 0 ? "Found none valid" : `Found ${valid} valid alternatives`;
    report(walk, at, "Invalid", value, `"${pathText(at)}" must validate one and only one schema (oneOf). ${found}`);
  }
  if (node.not !== undefined && passes(node.not, value)) {
    report(walk, at, "Invalid", value, `"${pathText(at)}" must not validate the schema (not)`);
  }
}
