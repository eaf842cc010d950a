import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { at, objectAt, textAt } from "../../crds/json.ts";
import { integerOf, named, objectsOf } from "../json-edit.ts";
import { conditionOf } from "./conditions.ts";
import { FAULTS, type FaultId, explain } from "./faults.ts";
import { faultOfOutput, tellingLine } from "./log-causes.ts";

/** A Warning Event about a pod: what the kubelet tells nowhere else. */
export interface PodWarning {
  readonly reason: string;
  readonly message: string;
}

/** Why a pod does not serve. */
export interface PodCause {
  readonly fault: FaultId;
  /** Reason of the condition. */
  readonly reason: string;
  /** Pod and container, cause and remedy. */
  readonly message: string;
}

/** Name of the init container that fetches the model (KServe). */
const STORAGE_INITIALIZER = "storage-initializer";

const PULL_REASONS = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "RegistryUnavailable",
]);
const CONFIG_REASONS = new Set(["CreateContainerError", "RunContainerError", "StartError", "PreCreateHookError"]);
const UNINFORMATIVE = new Set(["PodInitializing", "ContainerCreating"]);

const cause = (fault: FaultId, text: string, reason: string = FAULTS[fault].reasons[0]): PodCause => ({
  fault,
  reason,
  message: explain(fault, text),
});

/** A number or a name, as the API takes for ports and quantities. */
const scalar = (value: Json | undefined): string =>
  typeof value === "number" || typeof value === "string" ? `${value}` : "";

const nameOf = (pod: JsonObject): string => textAt(pod, "metadata", "name") ?? "";

/** What the containers of a pod ask for of one resource, as text; empty where none does. */
function requested(pod: JsonObject, resource: string): string {
  const amounts = objectsOf(at(pod, "spec", "containers")).flatMap((container) => {
    const amount = at(container, "resources", "requests", resource) ?? at(container, "resources", "limits", resource);
    return amount === undefined ? [] : [scalar(amount)];
  });
  return amounts.length === 0 ? "" : ` (requested: ${amounts.join(", ")})`;
}

/** The scheduler's `PodScheduled` message: which resource, volume or constraint leaves no node. */
function unscheduled(pod: JsonObject, message: string): PodCause {
  const what = `pod ${nameOf(pod)} cannot be scheduled`;
  const missing = /persistentvolumeclaim "([^"]+)" not found/.exec(message);
  if (missing !== null)
    return cause("claim-missing", `${what}, since PersistentVolumeClaim "${missing[1]}" does not exist`);
  if (
    /unbound immediate PersistentVolumeClaims|persistentvolumeclaim "[^"]+" is being|waiting for .*volume/i.test(
      message,
    )
  )
    return cause("claim-pending", `${what}, since a PersistentVolumeClaim is not bound (${claimsOf(pod)})`);
  const short = [...new Set([...message.matchAll(/Insufficient ([\w./-]*\w)/g)].map((match) => match[1]!))];
  if (short.length > 0) {
    const resources = short.map((resource) => `${resource}${requested(pod, resource)}`).join(" and ");
    return cause("resource-short", `${what}: no node has enough ${resources}; the scheduler says "${message}"`);
  }
  return cause("node-excluded", `${what}; the scheduler says "${message}"`);
}

function claimsOf(pod: JsonObject): string {
  const names = objectsOf(at(pod, "spec", "volumes")).flatMap(
    (volume) => textAt(volume, "persistentVolumeClaim", "claimName") ?? [],
  );
  return names.length === 0 ? "see its volumes" : names.join(", ");
}

/** A status of one container with what its failure is told about. */
interface Watched {
  readonly pod: JsonObject;
  readonly status: JsonObject;
  readonly init: boolean;
  readonly warnings: readonly PodWarning[];
}

const containerOf = ({ pod, status, init }: Watched): string =>
  `${init ? "init container" : "container"} ${textAt(status, "name")} of pod ${nameOf(pod)}`;

function missingObject(text: string): readonly ["secret-missing" | "config-map-missing", string] | undefined {
  const found = /(secret|configmap) "?([\w./-]*\w)"? not found/i.exec(text);
  if (found === null) return undefined;
  const name = found[2]!.replace(/^.*\//, "");
  return [found[1]!.toLowerCase() === "secret" ? "secret-missing" : "config-map-missing", name];
}

const kindOf = (fault: "secret-missing" | "config-map-missing"): string =>
  fault === "secret-missing" ? "Secret" : "ConfigMap";

function imageCause(watched: Watched, message: string): PodCause {
  const image = textAt(watched.status, "image") ?? "";
  const told = watched.warnings.find(({ reason, message: text }) => reason === "Failed" && /pull/i.test(text))?.message;
  const detail = message !== "" && !/^Back-off pulling image "[^"]*"$/.test(message) ? message : (told ?? message);
  return cause("image-pull", `${containerOf(watched)}: image "${image}" cannot be pulled (${detail})`);
}

function waitingCause(watched: Watched): PodCause | undefined {
  const waiting = objectAt(watched.status, "state", "waiting");
  const [reason, message] = [textAt(waiting, "reason") ?? "", textAt(waiting, "message") ?? ""];
  if (PULL_REASONS.has(reason)) return imageCause(watched, message);
  if (reason === "CreateContainerConfigError") {
    const missing = missingObject(message);
    if (missing !== undefined)
      return cause(
        missing[0],
        `${containerOf(watched)} needs ${kindOf(missing[0])} "${missing[1]}", which does not exist`,
      );
    return cause("container-config", `${containerOf(watched)} cannot be created (${message})`);
  }
  if (CONFIG_REASONS.has(reason))
    return cause("container-config", `${containerOf(watched)} cannot be created (${message})`);
  return undefined;
}

/** How a container ended that was, or will be, started again. */
function lastEnd(status: JsonObject): JsonObject | undefined {
  const now = objectAt(status, "state", "terminated");
  const before = objectAt(status, "lastState", "terminated");
  const failed = [now, before].find((end) => end !== undefined && integerOf(end["exitCode"]) !== 0);
  return failed ?? before ?? now;
}

function endCause(watched: Watched, end: JsonObject): PodCause {
  const output = textAt(end, "message") ?? "";
  const code = integerOf(end["exitCode"]) ?? 0;
  const said = tellingLine(output);
  const quote = said === "" ? "" : `; it said "${said}"`;
  const how = `${containerOf(watched)} ended with exit code ${code}`;
  if (textAt(end, "reason") === "OOMKilled") {
    const name = textAt(watched.status, "name") ?? "";
    const list = watched.init ? "initContainers" : "containers";
    const limit = at(named(at(watched.pod, "spec", list), name), "resources", "limits", "memory");
    const limited = limit === undefined ? "" : ` of ${scalar(limit)}`;
    return cause("out-of-memory", `${containerOf(watched)} was killed for exceeding its memory limit${limited}`);
  }
  const known = faultOfOutput(output);
  if (known !== undefined) return cause(known, `${how}${quote}`);
  if (!watched.init) return cause("crash-loop", `${how} and is started again${quote}`);
  const storage = textAt(watched.status, "name") === STORAGE_INITIALIZER;
  return cause("init-failed", `${how}${quote}`, storage ? "StorageInitializerFailed" : "InitContainerFailed");
}

/** Whether the container fails rather than finished, or runs well since its last failure. */
function isFailing({ status, init }: Watched): boolean {
  if (status["ready"] === true) return false;
  const ended = objectAt(status, "state", "terminated");
  if (ended !== undefined) return integerOf(ended["exitCode"]) !== 0 || !init;
  return (integerOf(status["restartCount"]) ?? 0) > 0;
}

function containerCause(watched: Watched): PodCause | undefined {
  const waits = waitingCause(watched);
  if (waits !== undefined) return waits;
  const end = lastEnd(watched.status);
  return end !== undefined && isFailing(watched) && !isProbeKill(watched, end) ? endCause(watched, end) : undefined;
}

/** A container that the kubelet ended because of its liveness or start-up probe: the probe is the cause, not the exit. */
function isProbeKill({ warnings }: Watched, end: JsonObject): boolean {
  const killed = [137, 143].includes(integerOf(end["exitCode"]) ?? 0) && textAt(end, "reason") !== "OOMKilled";
  return killed && warnings.some(({ reason }) => reason === "Unhealthy");
}

/** Volumes are told of by Events alone while all containers are being created. */
function mountCause(pod: JsonObject, warnings: readonly PodWarning[]): PodCause | undefined {
  const warning = warnings.find(({ reason }) => reason === "FailedMount" || reason === "FailedAttachVolume");
  if (warning === undefined) return undefined;
  const missing = missingObject(warning.message);
  if (missing !== undefined)
    return cause(missing[0], `pod ${nameOf(pod)} mounts ${kindOf(missing[0])} "${missing[1]}", which does not exist`);
  return cause("mount-failed", `a volume of pod ${nameOf(pod)} cannot be mounted (${tellingLine(warning.message)})`);
}

function probeText(container: JsonObject | undefined, kind: string): string {
  const probe = objectAt(container, kind);
  const [http, tcp, grpc] = [objectAt(probe, "httpGet"), objectAt(probe, "tcpSocket"), objectAt(probe, "grpc")];
  if (http !== undefined) return ` (GET ${textAt(http, "path") ?? "/"} on port ${scalar(http["port"])})`;
  if (tcp !== undefined) return ` (TCP port ${scalar(tcp["port"])})`;
  return grpc === undefined ? "" : ` (gRPC port ${scalar(grpc["port"])})`;
}

/** Running, but not ready: the probe that fails, as the kubelet's Event says it. */
function probeCause(watched: Watched): PodCause | undefined {
  const { pod, status, warnings } = watched;
  if (status["ready"] === true || objectAt(status, "state", "running") === undefined) return undefined;
  const told = warnings.find(({ reason, message }) => reason === "Unhealthy" && !/prober/.test(message));
  if (told === undefined) return undefined;
  const kind = /^(\w+) probe/.exec(told.message)?.[1]?.toLowerCase() ?? "readiness";
  const container = named(at(pod, "spec", "containers"), textAt(status, "name") ?? "");
  const text = `${kind} probe${probeText(container, `${kind}Probe`)} of ${containerOf(watched)} fails (${tellingLine(told.message)})`;
  return cause(/connection refused|ECONNREFUSED/i.test(told.message) ? "port-refused" : "probe-failing", text);
}

/**
 * Why the pod does not serve, or undefined where it serves, is on its way, or does not say. `warnings` are the Warning Events
 * about it, newest first.
 */
export function podCause(pod: JsonObject, warnings: readonly PodWarning[]): PodCause | undefined {
  if (textAt(pod, "metadata", "deletionTimestamp") !== undefined) return undefined;
  const status = objectAt(pod, "status");
  if (textAt(status, "reason") === "Evicted")
    return cause("evicted", `pod ${nameOf(pod)} was evicted (${textAt(status, "message") ?? ""})`);
  const scheduled = conditionOf(status?.["conditions"], "PodScheduled");
  if (scheduled?.status === "False" && scheduled.reason !== "SchedulingGated")
    return unscheduled(pod, scheduled.message ?? "");
  const watched = [
    ...objectsOf(status?.["initContainerStatuses"]).map((entry) => ({ pod, status: entry, init: true, warnings })),
    ...objectsOf(status?.["containerStatuses"]).map((entry) => ({ pod, status: entry, init: false, warnings })),
  ];
  for (const find of [containerCause, probeCause])
    for (const entry of watched) {
      const found = find(entry);
      if (found !== undefined) return found;
    }
  return watched.every(isCreating) ? mountCause(pod, warnings) : undefined;
}

const isCreating = ({ status }: Watched): boolean =>
  UNINFORMATIVE.has(textAt(status, "state", "waiting", "reason") ?? "");

/**
 * Whether only Events can tell what a pod waits for: a kubelet has it, and it does not serve. Before that no Event says more
 * than its conditions.
 */
export function needsWarnings(pod: JsonObject): boolean {
  if (textAt(pod, "metadata", "deletionTimestamp") !== undefined) return false;
  const phase = textAt(pod, "status", "phase");
  if (phase === "Succeeded" || phase === "Failed") return false;
  const conditions = at(pod, "status", "conditions");
  const hasNode = objectsOf(conditions).length > 0 && conditionOf(conditions, "PodScheduled")?.status !== "False";
  return hasNode && conditionOf(conditions, "Ready")?.status !== "True";
}
