import { at } from "../../crds/json.ts";
import { stringMapOf } from "../json-edit.ts";
import type { StringMap } from "../labels.ts";
import type { Pass } from "../llminferenceservice/pass.ts";

/** Annotation of `spec.annotations` that only steers routes and never reaches a child. */
export const MODEL_ROUTING_ANNOTATION = "serving.kserve.io/model-based-routing-enabled";

/** Prefixes of annotations of the service that its workloads and pods inherit (KServe v0.20). */
const ANNOTATION_PREFIXES = [
  "k8s.v1.cni.cncf.io",
  "kueue.x-k8s.io",
  "prometheus.io",
  "internal.serving.kserve.io/localmodel",
];

const LABEL_PREFIXES = ["kueue.x-k8s.io", "internal.serving.kserve.io/localmodel"];

const GROUP_PREFIX = "leaderworkerset.sigs.k8s.io";

function withPrefix(map: StringMap, prefixes: readonly string[]): StringMap {
  return Object.fromEntries(Object.entries(map).filter(([key]) => prefixes.some((prefix) => key.startsWith(prefix))));
}

/** Labels of the service that its workloads and pods inherit. */
export function inheritedLabels(pass: Pass): StringMap {
  return withPrefix(pass.labels, LABEL_PREFIXES);
}

/** Annotations of the service that its workloads and pods inherit; `group` adds those meant for LeaderWorkerSets. */
export function inheritedAnnotations(pass: Pass, group = false): StringMap {
  return withPrefix(pass.annotations, group ? [...ANNOTATION_PREFIXES, GROUP_PREFIX] : ANNOTATION_PREFIXES);
}

/** `labels` of the spec or of its prefill part. */
export function specLabels(pass: Pass, ...path: readonly string[]): StringMap {
  return stringMapOf(at(pass.spec, ...path, "labels"));
}

/** `annotations` of the spec or of its prefill part, without the one that only steers routes. */
export function specAnnotations(pass: Pass, ...path: readonly string[]): StringMap {
  const { [MODEL_ROUTING_ANNOTATION]: _steering, ...annotations } = stringMapOf(at(pass.spec, ...path, "annotations"));
  return annotations;
}
