import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { objectAt } from "../../crds/json.ts";
import { compact, stringMapOf } from "../json-edit.ts";
import { type StringMap, componentLabels, matchesLabels, servingLabels } from "../labels.ts";
import { type Pass, child, ownedChild } from "../llminferenceservice/pass.ts";
import { inheritedAnnotations, inheritedLabels } from "./metadata.ts";
import { type WorkloadPart, hasRoutingSidecar, isMultiNode, serviceAccountOf, workloadPart } from "./parts.ts";
import { completedPod } from "./pod-template.ts";
import { appliedReplicas } from "./replicas.ts";

/** Reason of the condition when a Deployment of model servers cannot be built. */
export const SINGLE_NODE_ERROR = "ReconcileSingleNodeWorkloadError";

/**
 * The selector of a Deployment: that of the live one, which is immutable, while the new pods still carry its labels; else a
 * minimal one, so that no label of the user's or of the role ever freezes into it.
 */
export function stableSelector(live: JsonObject | undefined, podLabels: StringMap, fresh: StringMap): StringMap {
  const current = stringMapOf(objectAt(live, "spec", "selector", "matchLabels"));
  return Object.keys(current).length > 0 && matchesLabels(podLabels, current) ? current : fresh;
}

function strategy(part: WorkloadPart): JsonObject | undefined {
  const rollout = objectAt(part.spec, "rolloutStrategy");
  const rollingUpdate = compact({ maxUnavailable: rollout?.["maxUnavailable"], maxSurge: rollout?.["maxSurge"] });
  return Object.keys(rollingUpdate).length === 0 ? undefined : { type: "RollingUpdate", rollingUpdate };
}

/**
 * The ServiceAccount that the main pods run as where the template names none: the generated one if they carry the routing
 * sidecar, which reads pods and pools.
 */
export function generatedServiceAccount(pass: Pass, template: JsonObject | undefined): string | undefined {
  const own = serviceAccountOf(template);
  const generated = pass.names.workloadServiceAccount;
  return hasRoutingSidecar(template) && (own === undefined || own === generated) ? generated : undefined;
}

function deploymentOf(pass: Pass, part: WorkloadPart): KubeObject {
  const template = objectAt(part.spec, "template") ?? {};
  const live = ownedChild(pass, KINDS.Deployment, part.deployment);
  const labels = servingLabels(pass.name, part.components.single, part.role);
  const podLabels = { ...part.podLabels, ...labels };
  const generated = part.part === "main" ? generatedServiceAccount(pass, template) : undefined;
  const pod = completedPod(pass, part, template, {
    reason: SINGLE_NODE_ERROR,
    serviceAccount: generated,
    generatedAccount: generated !== undefined,
    livePod: objectAt(live, "spec", "template", "spec"),
    namesPool: part.part === "main",
  });
  const annotations = Object.keys(part.podAnnotations).length > 0 ? part.podAnnotations : undefined;
  return child(
    pass,
    KINDS.Deployment,
    { name: part.deployment, labels: { ...inheritedLabels(pass), ...labels }, annotations: inheritedAnnotations(pass) },
    {
      spec: compact({
        replicas: appliedReplicas(part.spec, live),
        selector: {
          matchLabels: { ...stableSelector(live, podLabels, componentLabels(pass.name, part.components.single)) },
        },
        strategy: strategy(part),
        template: {
          metadata: compact({ labels: { ...podLabels }, annotations: annotations && { ...annotations } }),
          spec: pod,
        },
      }),
    },
  );
}

/** The Deployments of model servers: main, and prefill where the service separates it; none for multi-node parts. */
export function buildDeployments(pass: Pass): readonly KubeObject[] {
  return (["main", "prefill"] as const).flatMap((name) => {
    const part = workloadPart(pass, name);
    return part === undefined || isMultiNode(part) ? [] : [deploymentOf(pass, part)];
  });
}
