import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS, groupOf } from "../../kube/resources.ts";
import { at, listAt } from "../../crds/json.ts";
import { objectsOf } from "../json-edit.ts";
import { type Pass, ownedChild } from "../llminferenceservice/pass.ts";
import { conditionOf } from "../status/conditions.ts";

/** Which of the two InferencePool APIs routes refer to. */
export type PoolVersion = "v1" | "older";

/** API groups of the two. */
export const POOL_GROUPS: Readonly<Record<PoolVersion, string>> = {
  v1: groupOf(KINDS.InferencePool.apiVersion),
  older: groupOf(KINDS.InferencePoolV1Alpha2.apiVersion),
};

/** Annotation of managed routes that tells which pool API they are on; KServe never changes a route that says `v1`. */
export const POOL_ANNOTATION = "serving.kserve.io/inference-pool-migrated";

/** Its values. */
export const POOL_ANNOTATION_VALUES: Readonly<Record<PoolVersion, string>> = { v1: "v1", older: "v1alpha2" };

function usesGroup(route: JsonObject, group: string): boolean {
  return listAt(route, "spec", "rules").some((rule) =>
    objectsOf(at(rule, "backendRefs")).some((ref) => ref["kind"] === "InferencePool" && ref["group"] === group),
  );
}

/** Whether a gateway said of the route that it does not know the kind of a backend. */
function refusesKind(route: JsonObject): boolean {
  const parents = listAt(route, "status", "parents");
  return parents.some((parent: Json) => {
    const resolved = conditionOf(at(parent, "conditions"), "ResolvedRefs");
    return resolved?.status === "False" && resolved.reason === "InvalidKind";
  });
}

/**
 * The pool API that the managed route uses: v1 where it is served, unless the gateway refused exactly that and the older one
 * is served. A fall-back is marked on the route and lasts, so that two refusals never alternate.
 */
export function routedPool(pass: Pass): PoolVersion {
  const [v1, older] = [pass.cluster.serves(KINDS.InferencePool), pass.cluster.serves(KINDS.InferencePoolV1Alpha2)];
  if (!older) return "v1";
  if (!v1) return "older";
  const route = ownedChild(pass, KINDS.HTTPRoute, pass.names.route);
  if (route === undefined) return "v1";
  if (usesGroup(route, POOL_GROUPS.v1)) return refusesKind(route) ? "older" : "v1";
  return at(route, "metadata", "annotations", POOL_ANNOTATION) === POOL_ANNOTATION_VALUES.older ? "older" : "v1";
}

/** The API of a pool that is not made in this pass: the one in which it exists; v1 where it exists in none yet. */
export function referencedVersion(pass: Pass, name: string): PoolVersion {
  const key = { namespace: pass.namespace, name };
  const v1 = pass.cluster.find(KINDS.InferencePool, key) !== undefined;
  return !v1 && pass.cluster.find(KINDS.InferencePoolV1Alpha2, key) !== undefined ? "older" : "v1";
}
