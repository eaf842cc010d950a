import { KINDS } from "../../kube/resources.ts";
import { at } from "../../crds/json.ts";
import { type Pass, ownedChild } from "../llminferenceservice/pass.ts";
import { explain } from "../status/faults.ts";
import { ABSENT, type Condition, type Mark, type Marks, TRUE, conditionOf, notReady } from "../status/conditions.ts";
import type { PartName } from "../workload/parts.ts";
import { autoscalerOf } from "./autoscalers.ts";

const METRIC_REASON = /^FailedGet\w*Metric$/;

/** What an autoscaler says of itself; a remedy where its metric is missing. */
function failure({ reason = "", message = "" }: Condition, otherwise: string): Mark {
  return notReady(reason || otherwise, METRIC_REASON.test(reason) ? explain("metrics-missing", message) : message);
}

function podAutoscalerMark(pass: Pass, name: string): Mark {
  const conditions = at(ownedChild(pass, KINDS.HorizontalPodAutoscaler, name), "status", "conditions");
  const found = ["AbleToScale", "ScalingActive"].map((type) => conditionOf(conditions, type));
  // An autoscaler of zero replicas is inactive by somebody's wish.
  const failing = found.find(
    (condition) => condition !== undefined && condition.status !== "True" && condition.reason !== "ScalingDisabled",
  );
  if (failing !== undefined) return failure(failing, "HPAProgressing");
  return found.includes(undefined) ? notReady("HPAProgressing", "HPA conditions not yet available") : TRUE;
}

/** A ScaledObject without readiness, or in doubt of it, is one that KEDA has yet to look at. */
function scaledObjectMark(pass: Pass, name: string): Mark {
  const conditions = at(ownedChild(pass, KINDS.ScaledObject, name), "status", "conditions");
  const ready = conditionOf(conditions, "Ready");
  if (ready === undefined || ready.status === "Unknown")
    return notReady("ScaledObjectProgressing", "ScaledObject conditions not yet available");
  return ready.status === "True" ? TRUE : failure(ready, "ScaledObjectProgressing");
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
