import { groupOf } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { isRecord } from "../framework/parameters.ts";
import type { RewriteRule, RewriteTarget } from "../request/rewrite.ts";

/** The pool that objectives and rewrites have to refer to. */
export interface PolicyPool {
  readonly name: string;
  readonly namespace: string;
}

/** Groups under which one and the same pool is served. */
const POOL_GROUPS: ReadonlySet<unknown> = new Set(["inference.networking.k8s.io", "inference.networking.x-k8s.io"]);
const DEFAULT_POOL_GROUP = "inference.networking.k8s.io";

/** Whether an InferenceObjective or InferenceModelRewrite is in force for a pool. */
export function appliesTo({ metadata, spec }: KubeObject, pool: PolicyPool): boolean {
  const reference = isRecord(spec) && isRecord(spec["poolRef"]) ? spec["poolRef"] : {};
  const { name, group = DEFAULT_POOL_GROUP } = reference;
  return metadata.deletionTimestamp === undefined && name === pool.name && POOL_GROUPS.has(group);
}

/** Whether an object is of the group that llm-d has left. */
export const isLegacy = ({ apiVersion }: KubeObject): boolean => groupOf(apiVersion) !== "llm-d.ai";

/** Priority of an InferenceObjective; 0 where it states none. */
export function priorityOf({ spec }: KubeObject): number {
  const priority = isRecord(spec) ? spec["priority"] : undefined;
  return typeof priority === "number" && Number.isInteger(priority) ? priority : 0;
}

/**
 * Rules of InferenceModelRewrites in the order of their precedence: the oldest object first, then by name, then in the order of
 * writing. A rule whose matches name no model at all is dropped: it is neither exact nor generic.
 */
export function rulesOf(objects: readonly KubeObject[]): RewriteRule[] {
  return [...objects].sort(byAge).flatMap(({ metadata, spec }) => {
    const rules = isRecord(spec) && Array.isArray(spec["rules"]) ? spec["rules"].filter(isRecord) : [];
    return rules.flatMap((rule) => {
      const matches: unknown[] = Array.isArray(rule["matches"]) ? rule["matches"] : [];
      const models = matches.flatMap(modelOf);
      if (matches.length > 0 && models.length === 0) return [];
      return [{ name: metadata.name, models, targets: targetsOf(rule["targets"]) }];
    });
  });
}

function byAge({ metadata: a }: KubeObject, { metadata: b }: KubeObject): number {
  const age = Date.parse(a.creationTimestamp ?? "") - Date.parse(b.creationTimestamp ?? "");
  if (age !== 0 && !Number.isNaN(age)) return age;
  const [first, second] = [`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`];
  return first < second ? -1 : Number(first > second);
}

function modelOf(match: unknown): string[] {
  const model = isRecord(match) ? match["model"] : undefined;
  const value = isRecord(model) ? model["value"] : undefined;
  return typeof value === "string" && value !== "" ? [value] : [];
}

function targetsOf(targets: unknown): RewriteTarget[] {
  return (Array.isArray(targets) ? targets : []).filter(isRecord).flatMap(({ modelRewrite, weight }) => {
    if (typeof modelRewrite !== "string") return [];
    return [{ model: modelRewrite, weight: typeof weight === "number" && weight > 0 ? weight : undefined }];
  });
}
