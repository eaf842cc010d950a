import { at, objectAt, textAt, withAt } from "../../crds/json.ts";
import { stringsOf } from "../json-edit.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";

const LABEL = "internal.serving.kserve.io/localmodel";

/** Labels and annotations that tell a service's children where the cached model is, as KServe names them. */
const MARKS = {
  cache: ["labels", LABEL],
  namespace: ["labels", `${LABEL}-namespace`],
  source: ["annotations", `${LABEL}-sourceuri`],
  claim: ["annotations", `${LABEL}-pvc-name`],
} as const;

const DISABLED = "serving.kserve.io/disable-localmodel";
const NODE_GROUP = "serving.kserve.io/nodegroup";

const withoutSlash = (uri: string): string => uri.replace(/\/+$/, "");

/** Whether a cache holds the model of a URI: it is that model, or lies below it. */
function holds(cache: Json, uri: string): boolean {
  const source = withoutSlash(textAt(cache, "spec", "sourceModelUri") ?? "");
  return source !== "" && (uri === source || uri.startsWith(`${source}/`));
}

/** The node group whose volume is used: the one that the service asks for, or the first; undefined where there is none. */
function nodeGroupOf(cache: Json, wanted: string | undefined): string | undefined {
  const groups = stringsOf(at(cache, "spec", "nodeGroups"));
  return wanted === undefined ? groups[0] : groups.find((group) => group === wanted);
}

function marksOf(service: JsonObject, caches: readonly Json[]): Partial<Record<keyof typeof MARKS, string>> {
  const annotations = objectAt(service, "metadata", "annotations") ?? {};
  const uri = withoutSlash(textAt(service, "spec", "model", "uri") ?? "");
  if (annotations[DISABLED] !== undefined || uri === "") return {};
  for (const cache of caches) {
    const group = holds(cache, uri) ? nodeGroupOf(cache, textAt(annotations, NODE_GROUP)) : undefined;
    if (group === undefined) continue;
    const name = textAt(cache, "metadata", "name") ?? "";
    const namespace = textAt(cache, "metadata", "namespace");
    return {
      cache: name,
      ...(namespace === undefined ? {} : { namespace }),
      source: textAt(cache, "spec", "sourceModelUri") ?? "",
      claim: `${name}-${group}`,
    };
  }
  return {};
}

/**
 * The service, marked with the first of the caches that holds its model on a node group it may use; without marks where none
 * does, or the service wants none. The input stays as it is (KServe v0.20).
 */
export function withLocalModel(service: JsonObject, caches: readonly Json[]): JsonObject {
  const marks = marksOf(service, caches);
  return Object.entries(MARKS).reduce((result, [mark, [map, key]]) => {
    const value = marks[mark as keyof typeof MARKS];
    if (textAt(result, "metadata", map, key) === value) return result;
    const marked = withAt(result, ["metadata", map, key], value);
    const isEmpty = Object.keys(objectAt(marked, "metadata", map) ?? {}).length === 0;
    return isEmpty ? withAt(marked, ["metadata", map], undefined) : marked;
  }, service);
}
