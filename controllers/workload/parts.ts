import type { JsonObject } from "../../crds/schema/types.ts";
import { at, objectAt, textAt } from "../../crds/json.ts";
import { integerOf, named } from "../json-edit.ts";
import { COMPONENTS, type StringMap, type WorkloadRole } from "../labels.ts";
import type { Pass } from "../llminferenceservice/pass.ts";
import { inheritedAnnotations, inheritedLabels, specAnnotations, specLabels } from "./metadata.ts";
import { TRACED } from "./tracing.ts";

/** Init container that routes between prefill and decode; known by its name alone, also when the user wrote it. */
export const ROUTING_SIDECAR = "llm-d-routing-sidecar";

/** The two halves of a service's model servers; `main` serves alone, or decodes where there is a prefill part. */
export type PartName = "main" | "prefill";

/** One half of the model servers, as the spec describes it. */
export interface WorkloadPart {
  readonly part: PartName;
  /** `spec`, or `spec.prefill`. */
  readonly spec: JsonObject;
  readonly role: WorkloadRole;
  readonly deployment: string;
  readonly leaderWorkerSet: string;
  readonly components: { readonly single: string; readonly worker: string; readonly leader: string };
  /** Labels and annotations of its pods beyond the operator's own. */
  readonly podLabels: StringMap;
  readonly podAnnotations: StringMap;
  readonly tracedAs: string;
}

/** The part of the service; undefined for `prefill` where there is none. */
export function workloadPart(pass: Pass, part: PartName): WorkloadPart | undefined {
  const prefill = objectAt(pass.spec, "prefill");
  const spec = part === "main" ? pass.spec : prefill;
  if (spec === undefined) return undefined;
  const path = part === "main" ? [] : ["prefill"];
  const isMain = part === "main";
  return {
    part,
    spec,
    role: isMain ? (prefill === undefined ? "both" : "decode") : "prefill",
    deployment: isMain ? pass.names.deployment : pass.names.prefillDeployment,
    leaderWorkerSet: isMain ? pass.names.leaderWorkerSet : pass.names.prefillLeaderWorkerSet,
    components: {
      single: isMain ? COMPONENTS.workload : COMPONENTS.prefill,
      worker: isMain ? COMPONENTS.worker : COMPONENTS.prefillWorker,
      leader: isMain ? COMPONENTS.leader : COMPONENTS.prefillLeader,
    },
    podLabels: { ...inheritedLabels(pass), ...specLabels(pass, ...path) },
    podAnnotations: { ...inheritedAnnotations(pass), ...specAnnotations(pass, ...path) },
    tracedAs: isMain ? TRACED.decode : TRACED.prefill,
  };
}

/** Whether the part runs as groups of pods (LeaderWorkerSet) instead of single pods (Deployment). */
export function isMultiNode(part: WorkloadPart): boolean {
  return objectAt(part.spec, "worker") !== undefined;
}

/** Replicas that the spec asks for; undefined: it does not say. */
export function replicasOf(spec: JsonObject): number | undefined {
  return integerOf(spec["replicas"]);
}

/** Whether a pod spec runs the routing sidecar. */
export function hasRoutingSidecar(pod: JsonObject | undefined): boolean {
  return named(at(pod, "initContainers"), ROUTING_SIDECAR) !== undefined;
}

/** The ServiceAccount that a pod spec names, undefined for none. */
export function serviceAccountOf(pod: JsonObject | undefined): string | undefined {
  const name = textAt(pod, "serviceAccountName");
  return name === "" ? undefined : name;
}
