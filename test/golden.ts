import { isObject, listAt, objectAt, sameJson, textAt } from "../crds/json.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import { parseYaml } from "../kube/yaml.ts";

/** What the API server fills in, by the name of the field: it is in the recording and not in what is applied. */
const SERVER_DEFAULTS: Readonly<Record<string, readonly Json[]>> = {
  apiVersion: ["v1"],
  appProtocol: ["http"],
  behavior: ["static"],
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
  policies: [
    [{ periodSeconds: 15, type: "Percent", value: 100 }],
    [
      { periodSeconds: 15, type: "Pods", value: 4 },
      { periodSeconds: 15, type: "Percent", value: 100 },
    ],
  ],
  protocol: ["TCP"],
  replicas: [1],
  restartPolicy: ["Always"],
  revisionHistoryLimit: [10],
  scaleDown: [{ policies: [{ periodSeconds: 15, type: "Percent", value: 100 }], selectPolicy: "Max" }],
  schedulerName: ["default-scheduler"],
  scheme: ["HTTP"],
  selectPolicy: ["Max"],
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
export const EXPLAINED: readonly (readonly [string, RegExp])[] = [
  ["the scheduler's image is ours", /^Deployment .*\.image: "llmisvc-scheduler:/],
  ["start scripts are ours", /containers\[main\]\.command\[2\]: /],
  ["the check of an OCI model's files is ours", /initContainers\[modelcar-init\]\.args\[2\]: /],
  [
    "the old pool API is used only where a gateway needs it",
    /^InferencePool inference\.networking\.x-k8s\.io.*: absent$/,
  ],
  [
    "routes and sidecars refer to the v1 pool",
    /"(--pool-group=)?inference\.networking\.k8s\.io" \/ "(--pool-group=)?inference/,
  ],
  [
    "a route says which pool API it is on",
    /^HTTPRoute .* annotations\.serving\.kserve\.io\/inference-pool-migrated: "v1"/,
  ],
  ["pods of a fresh scheduler carry the label of the log command", /component: "llminferenceservice-scheduler" \/ /],
  ["selectors hold only labels that never change", /-kserve(-prefill)? spec\.selector\.matchLabels\.\S+: absent/],
  ["a user's labels do not replace those that identify a child", /app\.kubernetes\.io\/name: "qwen2-7b-instruct-amd/],
  ["probes speak the server's scheme", /Probe\.httpGet\.scheme: "HTTP" \/ "HTTPS"/],
  ["adapters have a volume of their own", /\.(volumes|volumeMounts): elements .*kserve-lora-location/],
  [
    "a tokenizer downloads no weights",
    /-tokenizer .*initContainers\[storage-initializer\]\.env: .* STORAGE_ALLOW_PATTERNS \//,
  ],
  ["recordings leave out cluster-scoped objects and claims", /^(ClusterRoleBinding|ResourceClaimTemplate) .*: new$/],
];

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
  return textAt(item, "name") ?? String(index);
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

/** Differences of two values below a path: one line for each field, ours first; what an API server defaults does not count. */
export function differences(ours: Json | undefined, theirs: Json | undefined, path: string): readonly string[] {
  if (ours === undefined && theirs !== undefined)
    return isServerDefault(path.split(".").at(-1) ?? "", theirs) ? [] : [`${path}: absent / ${short(theirs)}`];
  if (theirs === undefined && ours !== undefined) return isEmpty(ours) ? [] : [`${path}: ${short(ours)} / absent`];
  if (Array.isArray(ours) && Array.isArray(theirs)) return listDifferences(ours, theirs, path);
  if (isObject(ours) && isObject(theirs)) return objectDifferences(ours, theirs, path);
  if (isSameConfig(ours, theirs)) return [];
  return scalarText(ours) === scalarText(theirs) ? [] : [`${path}: ${short(ours)} / ${short(theirs)}`];
}

/** Whether an object is of that kind. */
export const isKind = (object: Json, kind: string): boolean => textAt(object, "kind") === kind;
const title = (object: Json): string =>
  `${textAt(object, "kind")} ${textAt(object, "apiVersion")} ${textAt(object, "metadata", "name")}`;

/** Annotations that tell a time. */
const TIMES: ReadonlySet<string> = new Set(["certificates.kserve.io/expiration"]);

function annotationsOf(object: Json | undefined): JsonObject {
  const annotations = objectAt(object, "metadata", "annotations") ?? {};
  return Object.fromEntries(
    Object.entries(annotations).map(([key, value]) => [key, TIMES.has(key) ? "a time" : value]),
  );
}

/** Owners without the uid that a recording leaves out. */
function ownersOf(object: Json | undefined): Json[] {
  return listAt(object, "metadata", "ownerReferences").flatMap((owner) => {
    if (!isObject(owner)) return [];
    const { uid: _uid, ...rest } = owner;
    return [rest];
  });
}

/** What of a child is compared: all of it but what a server sets, and the content of Secrets. */
function parts(object: Json | undefined): JsonObject {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, status: _status, ...rest } = objectAt(object) ?? {};
  const data = objectAt(rest, "data");
  return {
    ...rest,
    ...(data === undefined ? {} : { data: Object.keys(data).sort() }),
    labels: objectAt(object, "metadata", "labels") ?? {},
    annotations: annotationsOf(object),
    owners: ownersOf(object),
  };
}

function childDifferences(child: Json, recorded: readonly Json[]): readonly string[] {
  const twin = recorded.find((object) => title(object) === title(child));
  if (twin === undefined) return [`${title(child)}: new`];
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

/** Differences of the status by design. */
export const EXPLAINED_STATUS: readonly (readonly [string, RegExp])[] = [
  ["the address of a service without a route has a name, its port and its models", /^addresses\[?.*service-internal/],
  [
    "a pass that stops at a missing reference tells the state of everything else",
    /^(workloads|conditions\.\w+): .* \/ (absent|"Unknown")$/,
  ],
  ["Ready gives the reason of the first part that fails", /^conditions\.Ready: "False \w+" \/ "False \w+"/],
];

const conditionsOf = (status: JsonObject): JsonObject =>
  Object.fromEntries(
    listAt(status, "conditions").map((condition) => {
      const parts = ["status", "reason"].flatMap((field) => textAt(condition, field) ?? []);
      return [textAt(condition, "type") ?? "", parts.join(" ")];
    }),
  );

/** How the status of a service differs from the recorded one; conditions count by status and reason, not by their text. */
export function statusDifferences(ours: JsonObject, recorded: JsonObject): readonly string[] {
  const of = (service: JsonObject): JsonObject => {
    const { observedGeneration: _generation, ...status } = objectAt(service, "status") ?? {};
    return { ...status, conditions: conditionsOf(status) };
  };
  return differences(of(ours), of(recorded), "").map((text) => text.slice(1));
}

/** The differences that no known one explains. */
export function unexplained(found: readonly string[], known: typeof EXPLAINED = EXPLAINED): readonly string[] {
  return found.filter((text) => !known.some(([, pattern]) => pattern.test(text)));
}
