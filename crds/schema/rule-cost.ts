import { isObject } from "../json.ts";
import type { Json } from "./types.ts";

/** What is known of a CEL expression without running it. */
export interface Expression {
  /** Fields of `self` and `oldSelf` that it reads; undefined where it takes the value as a whole. */
  readonly fields: ReadonlySet<string> | undefined;
  readonly usesOldSelf: boolean;
  /** Steps that it may take on that value, at most. */
  readonly cost: (self: Json) => number;
}

/** Macros that run their last argument for every element. */
const LOOPS = new Set(["all", "exists", "exists_one", "map", "filter"]);

interface Facts {
  readonly fields: Set<string>;
  whole: boolean;
  usesOldSelf: boolean;
  nodes: number;
  loops: number;
}

/** Reads the facts of a syntax tree, which is made of `{op, args}`. */
export function expressionOf(tree: unknown): Expression {
  const facts: Facts = { fields: new Set(), whole: false, usesOldSelf: false, nodes: 0, loops: 0 };
  visit(tree, 0, facts);
  return {
    fields: facts.whole ? undefined : facts.fields,
    usesOldSelf: facts.usesOldSelf,
    cost: (self) => (facts.loops === 0 ? facts.nodes : facts.nodes * longestList(self, 0) ** facts.loops),
  };
}

const isNode = (value: unknown): value is { readonly op: string; readonly args: unknown } =>
  typeof value === "object" && value !== null && "op" in value && "args" in value;

function visit(value: unknown, loops: number, facts: Facts): void {
  if (Array.isArray(value)) return value.forEach((item) => visit(item, loops, facts));
  if (!isNode(value)) return;
  facts.nodes++;
  const { op, args } = value;
  if (op === "id") return note(args, undefined, facts);
  const [first, second] = Array.isArray(args) ? (args as readonly unknown[]) : [];
  if (op === "." && isNode(first) && first.op === "id" && typeof second === "string")
    return note(first.args, second, facts);
  const inside = op === "rcall" && typeof first === "string" && LOOPS.has(first) ? loops + 1 : loops;
  facts.loops = Math.max(facts.loops, inside);
  visit(args, inside, facts);
}

function note(name: unknown, field: string | undefined, facts: Facts): void {
  if (name === "oldSelf") facts.usesOldSelf = true;
  if (name !== "self" && name !== "oldSelf") return;
  if (field === undefined) facts.whole = true;
  else facts.fields.add(field);
}

const MAX_DEPTH = 64;

/** Elements of the longest list or map anywhere in a value; at least 1. */
function longestList(value: Json, depth: number): number {
  if (depth > MAX_DEPTH || typeof value !== "object" || value === null) return 1;
  const items = isObject(value) ? Object.values(value) : value;
  return items.reduce<number>((most, item) => Math.max(most, longestList(item, depth + 1)), Math.max(1, items.length));
}
