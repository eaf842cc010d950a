import type { KubeObject } from "../../kube/types.ts";
import { type ConditionState, stampConditions } from "../conditions.ts";
import { type Fields, field, recordsAt, textAt } from "../fields.ts";

/** What the status of a pod follows from. */
export interface PodStatusInput {
  readonly pod: KubeObject;
  readonly podIP: string;
  readonly hostIP: string;
  readonly startTime: string;
  /** `initContainerStatuses` and `containerStatuses` in the order of the spec. */
  readonly init: readonly Fields[];
  readonly main: readonly Fields[];
  /** The status written last, whose transition times are kept. */
  readonly previous: Fields | undefined;
  /** RFC 3339. */
  readonly now: string;
}

/** The status of a pod as the kubelet writes it (core v1). */
export function podStatus(input: PodStatusInput): Fields {
  const initialized = input.init.every((status, index) => isInitialized(input.pod, status, index));
  const sidecars = input.init.filter((_, index) => isSidecar(input.pod, index));
  const lasting = [...sidecars, ...input.main];
  const unready = lasting.filter((status) => status["ready"] !== true).map((status) => String(status["name"]));
  const phase = podPhase(input, initialized);
  const finished = phase === "Succeeded" || phase === "Failed";
  const ready: Pick<ConditionState, "status" | "reason" | "message"> =
    unready.length === 0 && initialized
      ? { status: "True", reason: "" }
      : finished
        ? { status: "False", reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed" }
        : {
            status: "False",
            reason: "ContainersNotReady",
            message: `containers with unready status: [${unready.join(" ")}]`,
          };
  const conditions: ConditionState[] = [
    { type: "PodReadyToStartContainers", status: "True", reason: "" },
    initialized
      ? { type: "Initialized", status: "True", reason: "" }
      : { type: "Initialized", status: "False", reason: "ContainersNotInitialized" },
    { type: "Ready", ...ready },
    { type: "ContainersReady", ...ready },
    { type: "PodScheduled", status: "True", reason: "" },
  ];
  return {
    phase,
    conditions: stampConditions(conditions, field(input.previous, "conditions"), input.now).map(withoutEmptyReason),
    hostIP: input.hostIP,
    hostIPs: [{ ip: input.hostIP }],
    podIP: input.podIP,
    podIPs: [{ ip: input.podIP }],
    startTime: input.startTime,
    qosClass: qosClass(input.pod),
    ...(input.init.length === 0 ? {} : { initContainerStatuses: input.init }),
    containerStatuses: input.main,
  };
}

function withoutEmptyReason(condition: Fields): Fields {
  const { reason, ...rest } = condition;
  return reason === "" ? rest : condition;
}

/** Whether an init container goes on beside the others. */
const isSidecar = (pod: KubeObject, index: number): boolean =>
  textAt(pod, "spec", "initContainers", index, "restartPolicy") === "Always";

function isInitialized(pod: KubeObject, status: Fields, index: number): boolean {
  return isSidecar(pod, index) ? status["started"] === true : field(status, "state", "terminated", "exitCode") === 0;
}

function podPhase(input: PodStatusInput, initialized: boolean): string {
  const policy = textAt(input.pod, "spec", "restartPolicy") ?? "Always";
  const exitCode = (status: Fields) => field(status, "state", "terminated", "exitCode");
  if (!initialized) {
    const failed = input.init.some((status) => typeof exitCode(status) === "number" && exitCode(status) !== 0);
    return failed && policy === "Never" ? "Failed" : "Pending";
  }
  const codes = input.main.map(exitCode);
  if (policy !== "Always" && codes.length > 0 && codes.every((code) => typeof code === "number")) {
    if (codes.every((code) => code === 0)) return "Succeeded";
    if (policy === "Never") return "Failed";
  }
  const everRan = input.main.some(
    (status) =>
      field(status, "state", "running") !== undefined ||
      field(status, "state", "terminated") !== undefined ||
      Number(status["restartCount"]) > 0,
  );
  return everRan ? "Running" : "Pending";
}

/** Guaranteed where every container limits CPU and memory to its requests, BestEffort where none says anything. */
function qosClass(pod: KubeObject): string {
  const containers = [...recordsAt(pod, "spec", "initContainers"), ...recordsAt(pod, "spec", "containers")];
  const value = (container: Fields, kind: string, name: string) => field(container, "resources", kind, name);
  const names = ["cpu", "memory"];
  const says = (container: Fields) =>
    names.some(
      (name) => value(container, "limits", name) !== undefined || value(container, "requests", name) !== undefined,
    );
  if (!containers.some(says)) return "BestEffort";
  const fixed = (container: Fields) =>
    names.every((name) => {
      const limit = value(container, "limits", name);
      return limit !== undefined && (value(container, "requests", name) ?? limit) === limit;
    });
  return containers.every(fixed) ? "Guaranteed" : "Burstable";
}
