import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { isObject, sameJson, textAt } from "../../crds/json.ts";

/** One difference between two renderings. */
export interface Change {
  /** `Kind namespace/name`. */
  readonly object: string;
  /** Field, such as `spec.replicas`; empty where the whole object came or went. */
  readonly path: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

const titleOf = (object: JsonObject): string => {
  const namespace = textAt(object, "metadata", "namespace");
  const name = textAt(object, "metadata", "name") ?? "";
  return `${textAt(object, "kind")} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
};
const identityOf = (object: JsonObject): string => `${textAt(object, "apiVersion")} ${titleOf(object)}`;

type Found = readonly (readonly [path: string, before: Json | undefined, after: Json | undefined])[];

/** Entries of a list by name, where all have one and no two the same. */
function byName(list: readonly Json[]): ReadonlyMap<string, Json> | undefined {
  const entries = list.map((item) => [textAt(item, "name") ?? "", item] as const);
  const names = new Map(entries);
  return names.size === list.length && !names.has("") ? names : undefined;
}

function listChanges(before: readonly Json[], after: readonly Json[], path: string): Found {
  const [left, right] = [byName(before), byName(after)];
  if (left !== undefined && right !== undefined)
    return [...new Set([...left.keys(), ...right.keys()])].flatMap((name) =>
      valueChanges(left.get(name), right.get(name), `${path}[${name}]`),
    );
  if (before.length !== after.length) return [[path, [...before], [...after]]];
  return before.flatMap((item, index) => valueChanges(item, after[index], `${path}[${index}]`));
}

function valueChanges(before: Json | undefined, after: Json | undefined, path: string): Found {
  if (sameJson(before, after)) return [];
  if (Array.isArray(before) && Array.isArray(after)) return listChanges(before, after, path);
  if (!isObject(before) || !isObject(after)) return [[path, before, after]];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
    valueChanges(before[key], after[key], path === "" ? key : `${path}.${key}`),
  );
}

/** What is different in the objects of `after`, field by field; objects are told apart by kind, namespace and name. */
export function changesBetween(before: readonly JsonObject[], after: readonly JsonObject[]): readonly Change[] {
  const [old, now] = [before, after].map(
    (list) => new Map(list.map((object) => [identityOf(object), object] as const)),
  );
  return [...new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])])].flatMap((identity) => {
    const [left, right] = [old?.get(identity), now?.get(identity)];
    const object = titleOf(left ?? right ?? {});
    if (left === undefined || right === undefined) return [{ object, path: "", before: left, after: right }];
    return valueChanges(left, right, "").map(([path, earlier, later]) => ({
      object,
      path,
      before: earlier,
      after: later,
    }));
  });
}

/** A change as one line, or, for texts of several lines, as a few. */
export function changeText({ object, path, before, after }: Change): string {
  if (path === "") return `${before === undefined ? "+" : "-"} ${object}`;
  const text = (value: Json | undefined): string => (value === undefined ? "nothing" : JSON.stringify(value));
  if (typeof before === "string" && typeof after === "string" && /\n/.test(before + after))
    return [`~ ${object} ${path}:`, ...lineChanges(before, after)].join("\n");
  return `~ ${object} ${path}: ${text(before)} → ${text(after)}`;
}

/** Lines that only one of two texts has, in order. */
function lineChanges(before: string, after: string): readonly string[] {
  const [left, right] = [before.split("\n"), after.split("\n")];
  const [inLeft, inRight] = [new Set(left), new Set(right)];
  return [
    ...left.filter((line) => !inRight.has(line)).map((line) => `    - ${line}`),
    ...right.filter((line) => !inLeft.has(line)).map((line) => `    + ${line}`),
  ];
}
