import { compact, sameJson } from "../controllers/json-edit.ts";
import { isObject, objectAt, stringAt } from "../controllers/composition/json.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import { parseYaml } from "../kube/yaml.ts";

/** What the API server fills in, by the name of the field: it is in the recording and not in what is applied. */
const SERVER_DEFAULTS: Readonly<Record<string, readonly Json[]>> = {
  apiVersion: ["v1"],
  appProtocol: ["http"],
  defaultMode: [420],
  dnsPolicy: ["ClusterFirst"],
  failureThreshold: [3],
  group: [""],
  imagePullPolicy: ["Always", "IfNotPresent"],
  internalTrafficPolicy: ["Cluster"],
  ipFamilies: [["IPv4"]],
  ipFamilyPolicy: ["SingleStack"],
  kind: ["Service"],
  path: [{ type: "PathPrefix", value: "/" }],
  periodSeconds: [10],
  progressDeadlineSeconds: [600],
  protocol: ["TCP"],
  replicas: [1],
  restartPolicy: ["Always"],
  revisionHistoryLimit: [10],
  schedulerName: ["default-scheduler"],
  scheme: ["HTTP"],
  sessionAffinity: ["None"],
  strategy: [{ rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" }, type: "RollingUpdate" }],
  successThreshold: [1],
  terminationGracePeriodSeconds: [30],
  terminationMessagePath: ["/dev/termination-log"],
  terminationMessagePolicy: ["File"],
  timeoutSeconds: [1],
  type: ["ClusterIP", "PathPrefix"],
  weight: [1],
};

/** Differences by design: what they are, and which of the differences found they explain. */
const BY_DESIGN: readonly (readonly [string, RegExp])[] = [
  ["images are ours or newer", /\.image: /],
  ["the start script is ours", /containers\[main\]\.command\[2\]: /],
  ["the check of an OCI model's files is ours", /initContainers\[modelcar-init\]\.args\[2\]: /],
  ["the old pool API is used only where a gateway needs it", /^InferencePool inference\.networking\.x-k8s\.io/],
  [
    "routes and sidecars refer to the v1 pool",
    /"(--pool-group=)?inference\.networking\.k8s\.io" \/ "(--pool-group=)?inference/,
  ],
  ["pods of a fresh scheduler carry the label of the log command", /component: "llminferenceservice-scheduler" \/ /],
  ["selectors hold only labels that never change", /-kserve(-prefill)? spec\.selector\.matchLabels\.\S+: absent/],
  ["a user's labels do not replace those that identify a child", /app\.kubernetes\.io\/name: "qwen2-7b-instruct-amd"/],
  ["the sidecar runs under the default seccomp profile", /llm-d-routing-sidecar\]\.securityContext\.seccompProfile: /],
  ["probes speak the server's scheme", /Probe\.httpGet\.scheme: "HTTP" \/ "HTTPS"/],
  ["adapters have a volume of their own", /\.(volumes|volumeMounts): elements .*kserve-lora-location/],
  [
    "the scheduler reads every spelling: a given configuration or flag is not rewritten",
    /-router-scheduler spec\.template\.spec\.containers\[main\]\.args/,
  ],
  ["recordings leave out cluster-scoped objects and claims", /^(ClusterRoleBinding|ResourceClaimTemplate) .*: new$/],
];

/** What KServe does and this operator does not. */
const NOT_DONE: readonly (readonly [string, RegExp])[] = [
  ["autoscalers", /^(ScaledObject|HorizontalPodAutoscaler) .*: absent$/],
  ["a tokenizer beside the scheduler", /-tokenizer: absent$/],
];

/** Every known difference: what it is, and which of the differences found it explains. */
export const EXPLAINED: readonly (readonly [string, RegExp])[] = [...BY_DESIGN, ...NOT_DONE];

function isServerDefault(key: string, value: Json): boolean {
  // The old name of serviceAccountName, which the server keeps equal to it.
  if (key === "serviceAccount") return true;
  if (value === "" || (isObject(value) && Object.keys(value).length === 0)) return true;
  return (SERVER_DEFAULTS[key] ?? []).some((standard) => JSON.stringify(standard) === JSON.stringify(value));
}

const isEmpty = (value: Json): boolean =>
  value === "" || value === false || JSON.stringify(value) === "{}" || JSON.stringify(value) === "[]";

const short = (value: Json | undefined): string => JSON.stringify(value)?.slice(0, 160) ?? "absent";

function elementName(item: Json | undefined, index: number): string {
  return stringAt(item, "name") ?? String(index);
}

function listDifferences(ours: readonly Json[], theirs: readonly Json[], path: string): readonly string[] {
  const [mine, recorded] = [ours.map(elementName).join(" "), theirs.map(elementName).join(" ")];
  if (mine !== recorded) return [`${path}: elements ${mine} / ${recorded}`];
  return ours.flatMap((item, index) => differences(item, theirs[index], `${path}[${elementName(item, index)}]`));
}

function objectDifferences(ours: JsonObject, theirs: JsonObject, path: string): readonly string[] {
  return [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].flatMap((key) =>
    differences(ours[key], theirs[key], `${path}.${key}`),
  );
}

/** Quantities and ports are written as numbers or as texts. */
const scalarText = (value: Json | undefined): string =>
  typeof value === "string" ? value : JSON.stringify(value ?? null);

/** Two texts of one EndpointPickerConfig. */
function isSameConfig(ours: Json | undefined, theirs: Json | undefined): boolean {
  const config = (text: Json | undefined): unknown =>
    typeof text === "string" && text.includes("kind: EndpointPickerConfig") ? parseYaml(text) : text;
  return sameJson(config(ours), config(theirs));
}

function differences(ours: Json | undefined, theirs: Json | undefined, path: string): readonly string[] {
  if (ours === undefined && theirs !== undefined)
    return isServerDefault(path.split(".").at(-1) ?? "", theirs) ? [] : [`${path}: absent / ${short(theirs)}`];
  if (theirs === undefined && ours !== undefined) return isEmpty(ours) ? [] : [`${path}: ${short(ours)} / absent`];
  if (Array.isArray(ours) && Array.isArray(theirs)) return listDifferences(ours, theirs, path);
  if (isObject(ours) && isObject(theirs)) return objectDifferences(ours, theirs, path);
  if (isSameConfig(ours, theirs)) return [];
  return scalarText(ours) === scalarText(theirs) ? [] : [`${path}: ${short(ours)} / ${short(theirs)}`];
}

/** Whether an object is of that kind. */
export const isKind = (object: Json, kind: string): boolean => stringAt(object, "kind") === kind;
const title = (object: Json): string =>
  `${stringAt(object, "kind")} ${stringAt(object, "apiVersion")} ${stringAt(object, "metadata", "name")}`;

/** The parts of a child that are compared. */
function parts(object: Json | undefined): JsonObject {
  const fields = objectAt(object) ?? {};
  const { spec, rules, subjects, roleRef } = fields;
  return compact({ labels: objectAt(fields, "metadata", "labels"), spec, rules, subjects, roleRef });
}

function childDifferences(child: Json, recorded: readonly Json[]): readonly string[] {
  const twin = recorded.find((object) => title(object) === title(child));
  if (twin === undefined) return [`${title(child)}: new`];
  if (isKind(child, "Secret")) return [];
  return objectDifferences(parts(child), parts(twin), "").map((text) => `${title(child)} ${text.slice(1)}`);
}

/**
 * How the children of a service differ from those that a KServe controller made of it: one line for each field, ours first;
 * `new` and `absent` for whole objects. What an API server defaults does not count.
 */
export function differencesOfChildren(children: readonly Json[], recorded: readonly Json[]): readonly string[] {
  const names = new Set(children.map(title));
  return [
    ...recorded.filter((object) => !names.has(title(object))).map((object) => `${title(object)}: absent`),
    ...children.flatMap((child) => childDifferences(child, recorded)),
  ];
}

/** The differences that no known one explains. */
export function unexplained(differences: readonly string[]): readonly string[] {
  return differences.filter((text) => !EXPLAINED.some(([, pattern]) => pattern.test(text)));
}
