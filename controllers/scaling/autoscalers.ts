import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { WvaSettings } from "../composition/global-config.ts";
import { at, listAt, objectAt, textAt } from "../../crds/json.ts";
import { compact, integerOf, stringMapOf } from "../json-edit.ts";
import { COMPONENTS, type StringMap, componentLabels } from "../labels.ts";
import { type Pass, PassError, child } from "../llminferenceservice/pass.ts";
import { type PartName, type WorkloadPart, isMultiNode, workloadPart } from "../workload/parts.ts";

/** Reason of the condition when an autoscaler cannot be built. */
export const SCALING_ERROR = "ReconcileScalingError";

/** Metric by which the workload variant autoscaler publishes how many replicas it wants. */
const WANTED_REPLICAS = "wva_desired_replicas";
/** Label of a variant that names its accelerator; read from the labels of the part. */
const ACCELERATOR = "inference.optimization/acceleratorName";

/** Which object scales a part: its kind, and its name. */
export interface AutoscalerOf {
  readonly kind: "HorizontalPodAutoscaler" | "ScaledObject";
  readonly name: string;
}

/** The autoscaler that a part of the service asks for; undefined for none. */
export function autoscalerOf(pass: Pass, name: PartName): AutoscalerOf | undefined {
  const scaling = objectAt(workloadPart(pass, name)?.spec, "scaling");
  if (scaling === undefined) return undefined;
  const { autoscaler, prefillAutoscaler, scaledObject, prefillScaledObject } = pass.names;
  if (objectAt(scaling, "keda") !== undefined || objectAt(scaling, "wva", "keda") !== undefined)
    return { kind: "ScaledObject", name: name === "main" ? scaledObject : prefillScaledObject };
  if (objectAt(scaling, "wva") === undefined) return undefined;
  return { kind: "HorizontalPodAutoscaler", name: name === "main" ? autoscaler : prefillAutoscaler };
}

interface Scaled {
  readonly part: WorkloadPart;
  readonly scaling: JsonObject;
  readonly name: string;
}

function target(part: WorkloadPart): JsonObject {
  const { apiVersion, kind } = isMultiNode(part) ? KINDS.LeaderWorkerSet : KINDS.Deployment;
  return { apiVersion, kind, name: isMultiNode(part) ? part.leaderWorkerSet : part.deployment };
}

const leastReplicas = (scaling: JsonObject): number => integerOf(scaling["minReplicas"]) ?? 1;

/** What makes the object a variant that the workload variant autoscaler finds and decides on. */
function variantMetadata(pass: Pass, { part, scaling }: Scaled): { labels: StringMap; annotations: StringMap } {
  const cost = textAt(scaling, "wva", "variantCost") ?? "";
  const model = textAt(pass.spec, "model", "name") ?? textAt(pass.spec, "model", "uri") ?? "";
  return {
    labels: { [ACCELERATOR]: stringMapOf(at(part.spec, "labels"))[ACCELERATOR] ?? "unknown" },
    annotations: {
      "llm-d.ai/managed": "true",
      "llm-d.ai/model-id": model,
      ...(cost === "" ? {} : { "llm-d.ai/variant-cost": cost }),
    },
  };
}

function metadata(
  pass: Pass,
  scaled: Scaled,
): { readonly name: string; readonly labels: StringMap; readonly annotations: StringMap } {
  const variant = objectAt(scaled.scaling, "wva") === undefined ? undefined : variantMetadata(pass, scaled);
  const labels = { ...variant?.labels, ...componentLabels(pass.name, COMPONENTS.workload) };
  return { name: scaled.name, labels, annotations: variant?.annotations ?? {} };
}

function podAutoscaler(pass: Pass, scaled: Scaled): KubeObject {
  const { part, scaling, name } = scaled;
  const metric = { name: WANTED_REPLICAS, selector: { matchLabels: { variant_name: name } } };
  return child(pass, KINDS.HorizontalPodAutoscaler, metadata(pass, scaled), {
    spec: compact({
      scaleTargetRef: target(part),
      minReplicas: leastReplicas(scaling),
      maxReplicas: scaling["maxReplicas"],
      metrics: [{ type: "External", external: { metric, target: { type: "Value", value: "1" } } }],
      behavior: objectAt(scaling, "wva", "hpa", "behavior"),
    }),
  });
}

/** The settings of the query, checked: KEDA needs to know where to ask, and how to prove who it is. */
function prometheus(pass: Pass, { part }: Scaled): WvaSettings {
  const { wva } = pass.global;
  const [field, key] = [
    `spec.${part.part === "main" ? "" : "prefill."}scaling.wva.keda`,
    "key autoscaling-wva-controller-config of ConfigMap inferenceservice-config",
  ];
  if (wva === undefined || wva.prometheusUrl === "")
    throw new PassError(SCALING_ERROR, `${field}: needs prometheus.url in ${key}: set it`);
  if ((wva.authModes === "") !== (wva.triggerAuthName === ""))
    throw new PassError(
      SCALING_ERROR,
      `${field}: prometheus.authModes and prometheus.triggerAuthName belong together: set both or neither in ${key}`,
    );
  return wva;
}

function wantedReplicasTrigger(pass: Pass, scaled: Scaled): JsonObject {
  const wva = prometheus(pass, scaled);
  return compact({
    type: "prometheus",
    name: "wva-desired-replicas",
    metadata: compact({
      serverAddress: wva.prometheusUrl,
      query: `${WANTED_REPLICAS}{variant_name="${scaled.name}",exported_namespace="${pass.namespace}"}`,
      threshold: "1",
      unsafeSsl: String(wva.tlsInsecureSkipVerify),
      authModes: wva.authModes === "" ? undefined : wva.authModes,
    }),
    authenticationRef:
      wva.triggerAuthName === ""
        ? undefined
        : compact({ name: wva.triggerAuthName, kind: wva.triggerAuthKind === "" ? undefined : wva.triggerAuthKind }),
  });
}

const PASSED_ON = [
  "pollingInterval",
  "cooldownPeriod",
  "initialCooldownPeriod",
  "idleReplicaCount",
  "fallback",
  "advanced",
] as const;

function scaledObject(pass: Pass, scaled: Scaled): KubeObject {
  if (!pass.cluster.serves(KINDS.ScaledObject))
    throw new PassError(
      "ScalingCRDNotFound",
      `spec.scaling: the cluster serves no ScaledObject (${KINDS.ScaledObject.apiVersion}): install KEDA, or scale by wva.hpa`,
    );
  const { part, scaling } = scaled;
  const own = objectAt(scaling, "keda");
  const settings = own ?? objectAt(scaling, "wva", "keda") ?? {};
  return child(pass, KINDS.ScaledObject, metadata(pass, scaled), {
    spec: compact({
      scaleTargetRef: target(part),
      minReplicaCount: leastReplicas(scaling),
      maxReplicaCount: scaling["maxReplicas"],
      ...Object.fromEntries(PASSED_ON.map((field) => [field, settings[field]])),
      triggers: own === undefined ? [wantedReplicasTrigger(pass, scaled)] : [...listAt(own, "triggers")],
    }),
  });
}

/**
 * The autoscalers of the parts that ask for one (KServe v0.20): a HorizontalPodAutoscaler or KEDA ScaledObject on the number
 * that the workload variant autoscaler wants, or a ScaledObject with the user's triggers. Throws `PassError` where KEDA or
 * its settings are missing.
 */
export function buildAutoscalers(pass: Pass): readonly KubeObject[] {
  return (["main", "prefill"] as const).flatMap((name) => {
    const part = workloadPart(pass, name);
    const scaling = objectAt(part?.spec, "scaling");
    const autoscaler = autoscalerOf(pass, name);
    if (part === undefined || scaling === undefined || autoscaler === undefined) return [];
    const build = autoscaler.kind === "ScaledObject" ? scaledObject : podAutoscaler;
    return [build(pass, { part, scaling, name: autoscaler.name })];
  });
}
