import { at, listAt, numberAt, objectAt, textAt } from "../json.ts";
import type { Json, JsonObject } from "../schema/types.ts";
import type { Collector } from "./findings.ts";

/** Least number of instances where `minReplicas` is absent. */
const DEFAULT_MIN_REPLICAS = 1;

/** Checks the autoscaler's bounds and triggers of one workload, which lies at `path`. */
export function checkScaling(found: Collector, path: string, workload: JsonObject): void {
  const scaling = objectAt(workload, "scaling");
  if (scaling === undefined) return;
  const place = `${path}.scaling`;
  if (at(workload, "replicas") !== undefined)
    found.add("Invalid", place, "excludes replicas: an autoscaler sets them; remove one of the two");
  const [least, most] = [numberAt(scaling, "minReplicas"), numberAt(scaling, "maxReplicas")];
  if (least !== undefined && most !== undefined && least > most)
    found.add("Invalid", `${place}.minReplicas`, "must not exceed maxReplicas", least);
  const [wva, keda] = [objectAt(scaling, "wva"), objectAt(scaling, "keda")];
  if (wva === undefined && keda === undefined) return found.add("Required", place, "one of wva and keda is needed");
  if (wva !== undefined && keda !== undefined) found.add("Invalid", place, "wva and keda exclude each other");
  if (wva !== undefined) checkWva(found, `${place}.wva`, wva, least);
  if (keda === undefined) return;
  if (listAt(keda, "triggers").length === 0)
    found.add("Required", `${place}.keda.triggers`, "at least one trigger is needed");
  checkKeda(found, `${place}.keda`, keda, least);
}

function checkWva(found: Collector, path: string, wva: JsonObject, least: number | undefined): void {
  const [hpa, keda] = [objectAt(wva, "hpa"), objectAt(wva, "keda")];
  if (hpa !== undefined && keda !== undefined) found.add("Invalid", path, "hpa and keda exclude each other");
  if (hpa === undefined && keda === undefined) found.add("Required", path, "one of hpa and keda is needed");
  const cost = textAt(wva, "variantCost");
  if (cost !== undefined && !/^\d+(\.\d+)?$/.test(cost))
    found.add("Invalid", `${path}.variantCost`, "must be a decimal number such as 10.0", cost);
  if (keda === undefined) return;
  const modifiers = Object.values(objectAt(keda, "advanced", "scalingModifiers") ?? {});
  if (modifiers.some((value) => typeof value === "string" && value !== ""))
    found.add(
      "Forbidden",
      `${path}.keda.advanced.scalingModifiers`,
      "the operator sets the formula of wva; use scaling.keda for one of your own",
    );
  checkKeda(found, `${path}.keda`, keda, least);
}

function checkKeda(found: Collector, path: string, keda: JsonObject, least = DEFAULT_MIN_REPLICAS): void {
  const name = textAt(keda, "advanced", "horizontalPodAutoscalerConfig", "name") ?? "";
  if (name !== "")
    found.add("Forbidden", `${path}.advanced.horizontalPodAutoscalerConfig.name`, "the operator names the autoscaler");
  const idle = numberAt(keda, "idleReplicaCount");
  if (idle !== undefined && idle >= least)
    found.add("Invalid", `${path}.idleReplicaCount`, "must be less than minReplicas", idle);
}

type Mode = "wva with hpa" | "wva with keda" | "keda";

function modeOf(scaling: JsonObject): Mode | undefined {
  if (objectAt(scaling, "wva", "hpa") !== undefined) return "wva with hpa";
  if (objectAt(scaling, "wva", "keda") !== undefined) return "wva with keda";
  return objectAt(scaling, "keda") === undefined ? undefined : "keda";
}

/** Checks that the autoscalers of both workloads, where both have one, are of one kind. */
export function checkScalingModes(found: Collector, object: JsonObject): void {
  const [main, prefill] = [objectAt(object, "spec", "scaling"), objectAt(object, "spec", "prefill", "scaling")];
  if (main === undefined || prefill === undefined) return;
  const [mode, other] = [modeOf(main), modeOf(prefill)];
  if (mode === undefined || other === undefined || mode === other) return;
  const path = mode === "keda" || other === "keda" ? "spec.prefill.scaling" : "spec.prefill.scaling.wva";
  const value: Json = { ...prefill };
  found.add("Invalid", path, `must be scaled as the main workload is: ${mode}, not ${other}`, value);
}
