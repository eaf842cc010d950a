import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { at, isObject, listOf, objectOf, scalarText, textMap, textOf } from "./objects.ts";

/** A column of a Table as `kubectl get` shows it; `value` gets the clock's time in ms for ages. */
export interface Column {
  readonly name: string;
  readonly type?: string;
  /** 0 (default) is always shown, others with `-o wide`. */
  readonly priority?: number;
  readonly value: (object: JsonObject, nowMs: number) => Json;
}

const NONE = "<none>";
const UNKNOWN = "<unknown>";

/** A time span as Kubernetes abbreviates it: `90s`, `5m30s`, `3h`, `2d4h`. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 120) return `${Math.max(0, seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes}m${seconds % 60 === 0 ? "" : `${seconds % 60}s`}`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return `${hours}h${minutes % 60 === 0 ? "" : `${minutes % 60}m`}`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return `${days}d${hours % 24 === 0 ? "" : `${hours % 24}h`}`;
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return days < 2920 && days % 365 !== 0 ? `${years}y${days % 365}d` : `${years}y`;
}

/** The age of an RFC 3339 time. */
export function ageText(time: Json | undefined, nowMs: number): string {
  const ms = Date.parse(textOf(time));
  return Number.isNaN(ms) ? UNKNOWN : humanDuration(nowMs - ms);
}

const path =
  (...steps: readonly (string | number)[]) =>
  (object: JsonObject): Json =>
    at(object, ...steps) ?? NONE;
const count =
  (...steps: readonly string[]) =>
  (object: JsonObject): number =>
    Number(at(object, ...steps) ?? 0);
const sizeOf =
  (...steps: readonly string[]) =>
  (object: JsonObject): Json => {
    const value = at(object, ...steps);
    return Array.isArray(value) ? value.length : Object.keys(objectOf(value)).length;
  };
const joined = (texts: readonly string[]): string => (texts.length === 0 ? NONE : texts.join(","));

const NAME: Column = { name: "Name", type: "string", value: path("metadata", "name") };
const AGE: Column = {
  name: "Age",
  type: "string",
  value: (object, nowMs) => ageText(at(object, "metadata", "creationTimestamp"), nowMs),
};
const named = (...columns: readonly Column[]): readonly Column[] => [NAME, ...columns, AGE];

function podStatus(pod: JsonObject): string {
  const statuses = listOf(at(pod, "status", "containerStatuses"));
  const state = statuses
    .map(
      (status) =>
        textOf(at(status, "state", "waiting", "reason")) || textOf(at(status, "state", "terminated", "reason")),
    )
    .findLast((reason) => reason !== "");
  if (at(pod, "metadata", "deletionTimestamp") !== undefined) return "Terminating";
  const initializing = initStatus(pod);
  return initializing ?? state ?? (textOf(at(pod, "status", "reason")) || textOf(at(pod, "status", "phase")));
}

function initStatus(pod: JsonObject): string | undefined {
  const statuses = listOf(at(pod, "status", "initContainerStatuses"));
  const open = statuses.findIndex(
    (status) => at(status, "state", "terminated", "exitCode") !== 0 && at(status, "started") !== true,
  );
  if (open < 0 || at(pod, "status", "phase") !== "Pending") return undefined;
  const reason = textOf(at(statuses[open], "state", "waiting", "reason"));
  return reason !== "" && reason !== "PodInitializing" ? `Init:${reason}` : `Init:${open}/${statuses.length}`;
}

/** Statuses of the containers that run as long as the pod does: its sidecars (init containers that are restarted) and its own. */
function runningStatuses(pod: JsonObject): Json[] {
  const sidecars = new Set(sidecarsOf(pod).map((container) => at(container, "name")));
  const initial = listOf(at(pod, "status", "initContainerStatuses"));
  return [
    ...initial.filter((status) => sidecars.has(at(status, "name"))),
    ...listOf(at(pod, "status", "containerStatuses")),
  ];
}

const sidecarsOf = (pod: JsonObject): Json[] =>
  listOf(at(pod, "spec", "initContainers")).filter((container) => at(container, "restartPolicy") === "Always");

function podReady(pod: JsonObject): string {
  const ready = runningStatuses(pod).filter((status) => at(status, "ready") === true).length;
  return `${ready}/${sidecarsOf(pod).length + listOf(at(pod, "spec", "containers")).length}`;
}

function podRestarts(pod: JsonObject, nowMs: number): Json {
  const statuses = runningStatuses(pod);
  const restarts = statuses.reduce<number>((sum, status) => sum + Number(at(status, "restartCount") ?? 0), 0);
  const last = statuses
    .map((status) => textOf(at(status, "lastState", "terminated", "finishedAt")))
    .sort()
    .at(-1);
  return restarts === 0 || last === undefined || last === ""
    ? String(restarts)
    : `${restarts} (${ageText(last, nowMs)} ago)`;
}

const templateColumns: readonly Column[] = [
  { name: "Containers", priority: 1, value: (object) => containerField(object, "name") },
  { name: "Images", priority: 1, value: (object) => containerField(object, "image") },
  {
    name: "Selector",
    priority: 1,
    value: (object) => joined(selectorTexts(at(object, "spec", "selector", "matchLabels"))),
  },
];

function containerField(object: JsonObject, field: string): string {
  return joined(listOf(at(object, "spec", "template", "spec", "containers")).map((item) => textOf(at(item, field))));
}

function selectorTexts(labels: Json | undefined): string[] {
  return Object.entries(textMap(labels)).map(([key, value]) => `${key}=${value}`);
}

function servicePorts(service: JsonObject): string {
  return joined(
    listOf(at(service, "spec", "ports")).map((port) => {
      const node = at(port, "nodePort");
      return `${scalarText(at(port, "port"))}${node === undefined ? "" : `:${scalarText(node)}`}/${textOf(at(port, "protocol")) || "TCP"}`;
    }),
  );
}

function limited(texts: readonly string[]): string {
  return texts.length > 3 ? `${texts.slice(0, 3).join(",")} + ${texts.length - 3} more...` : joined(texts);
}

function sliceAddresses(slice: JsonObject): string {
  return limited(listOf(slice["endpoints"]).flatMap((endpoint) => listOf(at(endpoint, "addresses")).map(textOf)));
}

function endpointsText(endpoints: JsonObject): string {
  return limited(
    listOf(endpoints["subsets"]).flatMap((subset) =>
      listOf(at(subset, "addresses")).flatMap((address) =>
        listOf(at(subset, "ports")).map((port) => `${textOf(at(address, "ip"))}:${scalarText(at(port, "port"))}`),
      ),
    ),
  );
}

function lastSeen(event: JsonObject, nowMs: number): string {
  const time = [
    at(event, "series", "lastObservedTime"),
    event["lastTimestamp"],
    event["eventTime"],
    event["firstTimestamp"],
  ];
  return ageText(
    time.find((item) => textOf(item) !== ""),
    nowMs,
  );
}

const regarding = (event: JsonObject): JsonObject => objectOf(event["involvedObject"] ?? event["regarding"]);

const EVENT_COLUMNS: readonly Column[] = [
  { name: "Last Seen", value: lastSeen },
  { name: "Type", value: path("type") },
  { name: "Reason", value: path("reason") },
  {
    name: "Object",
    value: (event) => `${textOf(regarding(event)["kind"]).toLowerCase()}/${textOf(regarding(event)["name"])}`,
  },
  { name: "Subobject", priority: 1, value: (event) => textOf(regarding(event)["fieldPath"]) },
  {
    name: "Source",
    priority: 1,
    value: (event) => textOf(at(event, "source", "component")) || textOf(event["reportingComponent"]),
  },
  { name: "Message", value: (event) => textOf(event["message"]) || textOf(event["note"]) },
  {
    name: "First Seen",
    priority: 1,
    value: (event, nowMs) => ageText(event["firstTimestamp"] ?? event["eventTime"], nowMs),
  },
  { name: "Count", priority: 1, value: (event) => scalarText(event["count"] ?? 1) },
  { name: "Name", priority: 1, value: path("metadata", "name") },
];

function roleText(binding: JsonObject): string {
  const role = objectOf(binding["roleRef"]);
  return `${textOf(role["kind"])}/${textOf(role["name"])}`;
}

function nodeStatus(node: JsonObject): string {
  const ready = listOf(at(node, "status", "conditions")).find((item) => at(item, "type") === "Ready");
  const state = at(ready, "status") === "True" ? "Ready" : "NotReady";
  return at(node, "spec", "unschedulable") === true ? `${state},SchedulingDisabled` : state;
}

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  Pod: [
    NAME,
    { name: "Ready", value: podReady },
    { name: "Status", value: podStatus },
    { name: "Restarts", value: podRestarts },
    AGE,
    { name: "IP", priority: 1, value: path("status", "podIP") },
    { name: "Node", priority: 1, value: path("spec", "nodeName") },
    { name: "Nominated Node", priority: 1, value: path("status", "nominatedNodeName") },
    { name: "Readiness Gates", priority: 1, value: () => NONE },
  ],
  Deployment: [
    NAME,
    {
      name: "Ready",
      value: (object) => `${count("status", "readyReplicas")(object)}/${count("spec", "replicas")(object)}`,
    },
    { name: "Up-to-date", type: "string", value: count("status", "updatedReplicas") },
    { name: "Available", type: "string", value: count("status", "availableReplicas") },
    AGE,
    ...templateColumns,
  ],
  ReplicaSet: [
    NAME,
    { name: "Desired", type: "integer", value: count("spec", "replicas") },
    { name: "Current", type: "integer", value: count("status", "replicas") },
    { name: "Ready", type: "integer", value: count("status", "readyReplicas") },
    AGE,
    ...templateColumns,
  ],
  StatefulSet: [
    NAME,
    {
      name: "Ready",
      value: (object) => `${count("status", "readyReplicas")(object)}/${count("spec", "replicas")(object)}`,
    },
    AGE,
    ...templateColumns.slice(0, 2),
  ],
  Service: [
    NAME,
    { name: "Type", value: path("spec", "type") },
    { name: "Cluster-IP", value: path("spec", "clusterIP") },
    { name: "External-IP", value: path("spec", "externalIPs", 0) },
    { name: "Port(s)", value: servicePorts },
    AGE,
    { name: "Selector", priority: 1, value: (object) => joined(selectorTexts(at(object, "spec", "selector"))) },
  ],
  Endpoints: named({ name: "Endpoints", value: endpointsText }),
  EndpointSlice: named(
    { name: "AddressType", value: path("addressType") },
    {
      name: "Ports",
      value: (slice) => limited(listOf(slice["ports"]).map((port) => scalarText(at(port, "port") ?? "*"))),
    },
    { name: "Endpoints", value: sliceAddresses },
  ),
  Event: EVENT_COLUMNS,
  Node: [
    NAME,
    { name: "Status", value: nodeStatus },
    { name: "Roles", value: () => NONE },
    AGE,
    { name: "Version", value: path("status", "nodeInfo", "kubeletVersion") },
  ],
  Namespace: named({ name: "Status", value: path("status", "phase") }),
  ConfigMap: named({
    name: "Data",
    type: "string",
    value: (object) => Number(sizeOf("data")(object)) + Number(sizeOf("binaryData")(object)),
  }),
  Secret: named({ name: "Type", value: path("type") }, { name: "Data", type: "string", value: sizeOf("data") }),
  ServiceAccount: named({ name: "Secrets", value: sizeOf("secrets") }),
  Lease: named({ name: "Holder", value: path("spec", "holderIdentity") }),
  PersistentVolumeClaim: [
    NAME,
    { name: "Status", value: path("status", "phase") },
    { name: "Volume", value: path("spec", "volumeName") },
    { name: "Capacity", value: path("status", "capacity", "storage") },
    { name: "Access Modes", value: (object) => joined(listOf(at(object, "spec", "accessModes")).map(textOf)) },
    { name: "StorageClass", value: path("spec", "storageClassName") },
    AGE,
  ],
  Role: [NAME, { name: "Created At", value: path("metadata", "creationTimestamp") }],
  ClusterRole: [NAME, { name: "Created At", value: path("metadata", "creationTimestamp") }],
  RoleBinding: named({ name: "Role", value: roleText }),
  ClusterRoleBinding: named({ name: "Role", value: roleText }),
  CustomResourceDefinition: [NAME, { name: "Created At", value: path("metadata", "creationTimestamp") }],
  MutatingWebhookConfiguration: named({ name: "Webhooks", type: "integer", value: sizeOf("webhooks") }),
  ValidatingWebhookConfiguration: named({ name: "Webhooks", type: "integer", value: sizeOf("webhooks") }),
};

const BUILTIN_GROUPS =
  /^$|^(apps|coordination|discovery|events|rbac\.authorization|apiextensions|admissionregistration)(\.k8s\.io)?$/;

/** The columns of a built-in kind; undefined where the kind's own printer columns hold. */
export function builtinColumns(group: string, kind: string): readonly Column[] | undefined {
  return BUILTIN_GROUPS.test(group) && Object.hasOwn(COLUMNS, kind) ? COLUMNS[kind] : undefined;
}

/** The first value that a printer column's JSONPath finds: fields, `['name']`, indexes, `[*]`, `[?(@.a=="b")]`. */
export function firstAt(object: Json, jsonPath: string): Json | undefined {
  const steps = jsonPath.match(/\.(?:\\.|[^.[\\])+|\[[^\]]*\]/g) ?? [];
  let found: readonly Json[] = [object];
  for (const step of steps) found = found.flatMap((value) => stepInto(value, step));
  return found[0];
}

const FILTER = /^\[\?\(\s*@\.([\w.\-\\/]+)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([^"'\s)]+))\s*\)\]$/;

function stepInto(value: Json, step: string): Json[] {
  if (step === "[*]") return Array.isArray(value) ? value : Object.values(objectOf(value));
  const filter = FILTER.exec(step);
  if (filter !== null) {
    const wanted = filter[3] ?? filter[4] ?? filter[5];
    return listOf(value).filter(
      (item) => (scalarText(at(item, ...filter[1]!.split("."))) === wanted) === (filter[2] === "=="),
    );
  }
  const index = /^\[(-?\d+)\]$/.exec(step);
  const key = index === null ? step.replace(/^\.|^\['?"?|"?'?\]$/g, "").replaceAll(/\\(.)/g, "$1") : "";
  const next = index === null ? (isObject(value) ? value[key] : undefined) : listOf(value).at(Number(index[1]));
  return next === undefined || next === null ? [] : [next];
}
