import { KINDS } from "../../kube/resources.ts";
import { at } from "../composition/json.ts";
import { type Pass, ownedChild } from "../llminferenceservice/pass.ts";
import { ABSENT, type Mark, type Marks, TRUE, conditionOf, notReady } from "../status/conditions.ts";
import type { PartName } from "../workload/parts.ts";
import { autoscalerOf } from "./autoscalers.ts";

function podAutoscalerMark(pass: Pass, name: string): Mark {
  const conditions = at(ownedChild(pass, KINDS.HorizontalPodAutoscaler, name), "status", "conditions");
  const found = ["AbleToScale", "ScalingActive"].map((type) => conditionOf(conditions, type));
  const failing = found.find((condition) => condition !== undefined && condition.status !== "True");
  if (failing !== undefined) return notReady(failing.reason ?? "HPAProgressing", failing.message ?? "");
  return found.includes(undefined) ? notReady("HPAProgressing", "HPA conditions not yet available") : TRUE;
}

/** A ScaledObject without readiness, or in doubt of it, is one that KEDA has yet to look at. */
function scaledObjectMark(pass: Pass, name: string): Mark {
  const conditions = at(ownedChild(pass, KINDS.ScaledObject, name), "status", "conditions");
  const ready = conditionOf(conditions, "Ready");
  if (ready === undefined || ready.status === "Unknown")
    return notReady("ScaledObjectProgressing", "ScaledObject conditions not yet available");
  return ready.status === "True" ? TRUE : notReady(ready.reason ?? "ScaledObjectProgressing", ready.message ?? "");
}

function partMark(pass: Pass, part: PartName): Mark {
  const autoscaler = autoscalerOf(pass, part);
  if (autoscaler === undefined) return ABSENT;
  return autoscaler.kind === "ScaledObject"
    ? scaledObjectMark(pass, autoscaler.name)
    : podAutoscalerMark(pass, autoscaler.name);
}

/** Readiness of the autoscalers (KServe v0.20): what the autoscaler itself says of its metrics and its target. */
export function scalingMarks(pass: Pass): Marks {
  return { ScalingReady: partMark(pass, "main"), PrefillScalingReady: partMark(pass, "prefill") };
}
