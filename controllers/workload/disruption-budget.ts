import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { COMPONENTS, type StringMap, componentLabels } from "../labels.ts";
import { type Pass, child } from "../llminferenceservice/pass.ts";
import { runsScheduler } from "../router/pool-reference.ts";
import { schedulerPodLabels } from "../scheduler/deployment.ts";
import { type WorkloadPart, isMultiNode, workloadPart } from "./parts.ts";

function budget(pass: Pass, name: string, component: string, pods: StringMap): KubeObject {
  const metadata = { name, labels: componentLabels(pass.name, component) };
  // One at a time never keeps a node from being drained, whatever the number of replicas is.
  return child(pass, KINDS.PodDisruptionBudget, metadata, {
    spec: { maxUnavailable: 1, selector: { matchLabels: { ...pods } } },
  });
}

/** The loss of any pod ends a group: what is counted are its leaders. */
function partBudget(pass: Pass, part: WorkloadPart): KubeObject {
  const component = isMultiNode(part) ? part.components.leader : part.components.single;
  const name = isMultiNode(part) ? part.leaderWorkerSet : part.deployment;
  return budget(pass, name, part.components.single, componentLabels(pass.name, component));
}

/**
 * PodDisruptionBudgets of model servers and scheduler, where key `optionalObjects` of the operator's configuration asks for
 * them: drained nodes take one instance at a time.
 */
export function buildDisruptionBudgets(pass: Pass): readonly KubeObject[] {
  if (!pass.global.optionalObjects.disruptionBudgets) return [];
  const parts = (["main", "prefill"] as const).flatMap((name) => workloadPart(pass, name) ?? []);
  const scheduler = runsScheduler(pass)
    ? [budget(pass, pass.names.scheduler, COMPONENTS.scheduler, schedulerPodLabels(pass))]
    : [];
  return [...parts.map((part) => partBudget(pass, part)), ...scheduler];
}
