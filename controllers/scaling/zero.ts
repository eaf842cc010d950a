import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { at } from "../../crds/json.ts";
import { integerOf } from "../json-edit.ts";
import { type Pass, asJson, ownedChild } from "../llminferenceservice/pass.ts";
import { ABSENT, type Mark, type Marks, conditionOf } from "../status/conditions.ts";
import { type PartName, isMultiNode, workloadPart } from "../workload/parts.ts";
import { autoscalerOf } from "./autoscalers.ts";

/** Condition of a service without replicas, and while its first ones come up again. */
const SCALED_TO_ZERO = "ScaledToZero";

interface Scale {
  readonly title: string;
  readonly part: PartName;
  readonly wanted: number;
  readonly available: number;
}

function scaleOf(pass: Pass, name: PartName): readonly Scale[] {
  const part = workloadPart(pass, name);
  if (part === undefined) return [];
  const [kind, child, field] = isMultiNode(part)
    ? ([KINDS.LeaderWorkerSet, part.leaderWorkerSet, "readyReplicas"] as const)
    : ([KINDS.Deployment, part.deployment, "availableReplicas"] as const);
  const live: JsonObject | undefined = ownedChild(pass, kind, child);
  if (live === undefined) return [];
  const wanted = integerOf(at(live, "spec", "replicas")) ?? 1;
  const available = integerOf(at(live, "status", field)) ?? 0;
  return [{ title: `${kind.kind} ${child}`, part: name, wanted, available }];
}

function asleep(pass: Pass, { title, part }: Scale): Mark {
  const autoscaler = autoscalerOf(pass, part);
  const [reason, why] =
    autoscaler === undefined
      ? ["NoReplicas", "spec.replicas asks for none: raise it, for example with kubectl scale"]
      : ["Idle", `${autoscaler.kind} ${autoscaler.name} starts the first one when a trigger fires`];
  return { status: "True", reason, message: `${title} has no replicas; ${why}` };
}

/**
 * Tells that nothing serves the model because nobody asks for it, and, after that, that the first replicas are on their way:
 * what a client sees as a slow or refused request.
 */
export function zeroMarks(pass: Pass): Marks {
  const scales = (["main", "prefill"] as const).flatMap((name) => scaleOf(pass, name));
  const zero = scales.find(({ wanted }) => wanted === 0);
  if (zero !== undefined) return { [SCALED_TO_ZERO]: asleep(pass, zero) };
  const service = asJson(pass.cluster.find(KINDS.LLMInferenceService, { namespace: pass.namespace, name: pass.name }));
  const before = conditionOf(at(service, "status", "conditions"), SCALED_TO_ZERO);
  const waking = before === undefined ? undefined : scales.find(({ available }) => available === 0);
  if (waking === undefined) return { [SCALED_TO_ZERO]: ABSENT };
  const message = `${waking.title} wakes from zero: none of ${waking.wanted} replicas is available yet`;
  return { [SCALED_TO_ZERO]: { status: "False", reason: "Waking", message } };
}
