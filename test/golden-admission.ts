import { isObject, objectAt, textAt } from "../crds/json.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import { parseQuantity } from "../kube/quantity.ts";
import type { Verdict } from "./admission.ts";

/**
 * Differences of admission and of stored objects by design: what they are, and which of the differences found they explain.
 * Texts of differences are those of `differencesOfVerdicts` and `differencesOfStored`.
 */
export const ADMISSION_BY_DESIGN: readonly (readonly [string, RegExp])[] = [
  [
    "a part of a pool is enough: what is required is checked after merging",
    /^refused there: .*pool\.spec\.\S+ Required/,
  ],
  [
    'the recording lost the quotes of the text "y", which the manifest has: it is text here',
    /^refused there: .*(of type string: "boolean"|cannot unmarshal bool into Go struct field EnvVar)/,
  ],
  ["schema defaults are applied after merging, so that they hide nothing", /^default: /],
];

/** Differences about scheduler configurations: whether there are any depends on what the scheduler knows. */
export const SCHEDULER_BY_DESIGN: readonly (readonly [string, RegExp])[] = [
  ["a scheduler configuration may be text", /^refused there: .*config\.inline Invalid value/],
  [
    "the scheduler's own validator checks its configuration",
    /^refused (here|for another reason): .*scheduler\.config\.inline/,
  ],
];

/** Defaults of the official schema that ours leaves to the time after merging. */
const DEFAULTS: readonly (readonly [RegExp, Json])[] = [
  [/\.variantCost$/, "10.0"],
  [/\.minReplicas$/, 1],
  [/\.evictionPolicy$/, "lru"],
  [/\.fallback\.behavior$/, "static"],
  [/\.appProtocol$/, "http"],
  [/\.endpointPickerRef\.failureMode$/, "FailClose"],
  [/\.endpointPickerRef\.group$/, ""],
];

/** Fields that a Go client writes although they are empty. */
const WRITTEN_EMPTY = /\.resources$|^spec\.model$|\.model\.uri$/;

const same = (a: Json | undefined, b: Json | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Values that a Go client leaves out. */
const isLeftOut = (value: Json): boolean => value === "" || value === false || same(value, {}) || same(value, []);

function isSameQuantity(ours: Json, theirs: Json, path: string): boolean {
  if (!/\.(limits|requests)\.|\.(cpu|size|sizeLimit|divisor)$/.test(path)) return false;
  const [a, b] = [ours, theirs].map((value) =>
    typeof value === "string" || typeof value === "number" ? parseQuantity(String(value)) : undefined,
  );
  return a !== undefined && a === b;
}

function differences(ours: Json | undefined, theirs: Json | undefined, path: string): string[] {
  if (same(ours, theirs)) return [];
  if (ours === undefined && theirs !== undefined) {
    if (WRITTEN_EMPTY.test(path) && (isLeftOut(theirs) || same(theirs, { uri: "" }))) return [];
    const isDefault = DEFAULTS.some(([pattern, value]) => pattern.test(path) && same(value, theirs));
    return [`${isDefault ? "default: " : ""}${path}: absent / ${JSON.stringify(theirs)}`];
  }
  if (theirs === undefined) return isLeftOut(ours!) ? [] : [`${path}: ${JSON.stringify(ours)} / absent`];
  if (Array.isArray(ours) && Array.isArray(theirs) && ours.length === theirs.length)
    return ours.flatMap((item, index) => differences(item, theirs[index], `${path}[${index}]`));
  if (isObject(ours) && isObject(theirs))
    return [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].flatMap((key) =>
      differences(ours[key], theirs[key], `${path}.${key}`),
    );
  return isSameQuantity(ours!, theirs, path) ? [] : [`${path}: ${JSON.stringify(ours)} / ${JSON.stringify(theirs)}`];
}

/** How a stored object differs from the recorded one in its spec, labels and annotations: one line a field, ours first. */
export function differencesOfStored(ours: JsonObject, theirs: JsonObject): string[] {
  const part = (object: JsonObject, ...path: string[]): Json => objectAt(object, ...path) ?? {};
  return ["labels", "annotations"]
    .flatMap((map) => differences(part(ours, "metadata", map), part(theirs, "metadata", map), map))
    .concat(differences(part(ours, "spec"), part(theirs, "spec"), "spec"));
}

/** What a refusal is about: unknown fields, or fields with the label of their error. */
function reasons(text: string): string {
  const unknown = [...text.matchAll(/unknown field "[^"]+"/g)].map(([found]) => found);
  const fields = [...text.matchAll(/((?:spec|metadata)[\w.[\]]+): ([A-Z][a-z]+ value)/g)].map(
    ([, path, label]) => `${path} ${label}`,
  );
  return [...unknown, ...fields].sort().join(", ");
}

/** Whether two answers of admission differ, and how. `recorded` is `ok` or kubectl's error. */
export function differencesOfVerdicts(object: JsonObject, { refused }: Verdict, recorded: string): string[] {
  const name = `${textAt(object, "kind")}/${textAt(object, "metadata", "name")}`;
  const line = (text: string): string => text.replaceAll(/\s+/g, " ");
  if (recorded === "ok") return refused === undefined ? [] : [`refused here: ${name}: ${line(refused)}`];
  if (refused === undefined) return [`refused there: ${name}: ${reasons(recorded)} ${line(recorded)}`];
  const [ours, theirs] = [reasons(refused), reasons(recorded)];
  return ours === theirs ? [] : [`refused for another reason: ${name}: ${ours} / ${theirs}`];
}
