import type { JsonObject } from "../../crds/schema/types.ts";
import type { KubeObject } from "../../kube/types.ts";
import { objectAt } from "../../crds/json.ts";
import { ABSENT, type Marks, notReady } from "../status/conditions.ts";

/** Annotation of a service that deletes all its children while it is `true`, in any case. */
export const STOP_ANNOTATION = "serving.kserve.io/stop";

/** Whether the service is to run nothing. */
export function isStopped(service: KubeObject): boolean {
  return service.metadata.annotations?.[STOP_ANNOTATION]?.toLowerCase() === "true";
}

/** The conditions of a stopped service: all parts that its spec has are down, and so is the router. */
export function stoppedMarks(spec: JsonObject): Marks {
  const stopped = notReady("Stopped", "Service is stopped");
  const prefill = objectAt(spec, "prefill");
  const when = (condition: boolean): typeof stopped => (condition ? stopped : ABSENT);
  const multiNode = objectAt(spec, "worker") !== undefined;
  const multiNodePrefill = objectAt(prefill, "worker") !== undefined;
  return {
    MainWorkloadReady: when(!multiNode),
    WorkerWorkloadReady: when(multiNode),
    PrefillWorkloadReady: when(prefill !== undefined && !multiNodePrefill),
    PrefillWorkerWorkloadReady: when(multiNodePrefill),
    ScalingReady: ABSENT,
    PrefillScalingReady: ABSENT,
    ScaledToZero: ABSENT,
    GroupReady: ABSENT,
    GroupDegraded: ABSENT,
    GatewaysReady: stopped,
    HTTPRoutesReady: stopped,
    InferencePoolReady: stopped,
    SchedulerWorkloadReady: stopped,
    TokenizerReady: stopped,
  };
}
