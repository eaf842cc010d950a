import { compose } from "../controllers/composition/compose.ts";
import { type GlobalConfig, parseGlobalConfig } from "../controllers/composition/global-config.ts";
import { at, isObject, listAt, objectAt, stringAt } from "../controllers/composition/json.ts";
import type { ComposableService, ConfigData, ServiceConfig } from "../controllers/composition/types.ts";
import { sameJson, stringMapOf } from "../controllers/json-edit.ts";
import { matchesLabels } from "../controllers/labels.ts";
import type { PlannedEvent } from "../controllers/llminferenceservice/conclusion.ts";
import { type ClusterView, asJson } from "../controllers/llminferenceservice/pass.ts";
import { type Plan, plan } from "../controllers/llminferenceservice/plan.ts";
import { convert } from "../crds/conversion.ts";
import { applyServiceDefaults } from "../crds/defaults.ts";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { type Structural, createStructural } from "../crds/schema/structural.ts";
import type { Json, JsonObject, JsonSchema } from "../crds/schema/types.ts";
import { KINDS, type Resource, gvkText } from "../kube/resources.ts";
import { type KubeObject, keyOf } from "../kube/types.ts";
import { parseYaml, parseYamlDocuments } from "../kube/yaml.ts";
import { SYSTEM_NAMESPACE, composeInput, configOf, serviceOf } from "./composition.ts";
import { listShared, readShared } from "./corpus.ts";

const GOLDEN = "corpus/golden/";
const MANIFESTS = "corpus/manifests/";

/** Namespace of every recording. */
export const NAMESPACE = "NS";

/** What a real KServe controller did with one file of manifests. */
export interface Recording {
  /** Path of the file below `corpus/manifests/`. */
  readonly path: string;
  /** The objects that its API server took, in order, as they stand in the files. */
  readonly accepted: readonly JsonObject[];
  readonly stored: readonly Json[];
  readonly children: readonly Json[];
  /** Type, reason and message. */
  readonly events: readonly (readonly string[])[];
}

const documentsOf = (path: string): readonly JsonObject[] =>
  parseYamlDocuments(readShared(`${MANIFESTS}${path}`)).filter(isObject);

const nameOf = (object: Json): string => `${stringAt(object, "kind")}/${stringAt(object, "metadata", "name")}`;

/** The documents that were taken: of the file itself, and of the files named by `from`, whose configs it needs. */
function acceptedDocuments(path: string, applied: readonly Json[]): readonly JsonObject[] {
  const files = [path, ...applied.flatMap((entry) => stringAt(entry, "from") ?? [])];
  const accepted = new Set(
    applied.flatMap((entry) => (at(entry, "apply") === "ok" ? [stringAt(entry, "object")] : [])),
  );
  return files.flatMap(documentsOf).filter((document) => accepted.has(nameOf(document)));
}

/** All recordings, by path. */
export function recordings(): readonly Recording[] {
  return listShared(GOLDEN, ".yaml").map((file) => {
    const path = file.slice(GOLDEN.length);
    const recorded = objectAt(parseYaml(readShared(file)));
    return {
      path,
      accepted: acceptedDocuments(path, listAt(recorded, "applied")),
      stored: listAt(recorded, "stored"),
      children: listAt(recorded, "children"),
      events: listAt(recorded, "events").map((event) => (Array.isArray(event) ? event.map(String) : [])),
    };
  });
}

const SCHEMAS: ReadonlyMap<string, Structural> = new Map(
  customResourceDefinitions().flatMap((definition) =>
    listAt(definition, "spec", "versions").map((version) => {
      const schema = at(version, "schema", "openAPIV3Schema") as unknown as JsonSchema;
      const apiVersion = `${stringAt(definition, "spec", "group")}/${stringAt(version, "name")}`;
      const kind = stringAt(definition, "spec", "names", "kind");
      return [`${apiVersion}/${kind}`, createStructural(schema)] as const;
    }),
  ),
);

/** An object as an API server stores it: pruned and defaulted in its own version, then converted, then our defaults. */
export function storedForm(document: JsonObject): JsonObject {
  const schema = SCHEMAS.get(`${stringAt(document, "apiVersion")}/${stringAt(document, "kind")}`);
  if (schema === undefined) return document;
  const copy = structuredClone(document);
  schema.prune(copy);
  schema.applyDefaults(copy);
  const converted = convert(copy, KINDS.LLMInferenceService.apiVersion);
  return converted["kind"] === "LLMInferenceService" ? applyServiceDefaults(converted) : converted;
}

const GATEWAYS: readonly (readonly [namespace: string, name: string])[] = [
  ["kserve", "kserve-ingress-gateway"],
  ["kserve-ci-e2e-test", "router-gateway-1"],
  ["kserve-ci-e2e-test", "router-gateway-2"],
  ["e2e-ns", "router-gateway-1"],
  ["e2e-ns", "router-gateway-2"],
  ["kserve-test", "agentgateway"],
];

function gateway(namespace: string, name: string): KubeObject {
  const listeners = [{ name: "http", port: 80, protocol: "HTTP", allowedRoutes: { namespaces: { from: "All" } } }];
  return {
    apiVersion: KINDS.Gateway.apiVersion,
    kind: "Gateway",
    metadata: { namespace, name },
    spec: { gatewayClassName: "class", listeners },
    status: {
      addresses: [{ type: "IPAddress", value: "10.96.0.10" }],
      conditions: [{ type: "Programmed", status: "True" }],
    },
  } as KubeObject;
}

/** The ConfigMap of the recording. */
const GLOBAL_DATA: Readonly<Record<string, string>> = {
  "autoscaling-wva-controller-config": JSON.stringify({ prometheus: { url: "http://prometheus.monitoring:9090" } }),
};

function recordedGlobal(): GlobalConfig {
  const parsed = parseGlobalConfig(GLOBAL_DATA, SYSTEM_NAMESPACE);
  if (parsed.kind === "invalid") throw new Error(parsed.errors.join("; "));
  return parsed.config;
}

/** A cluster in memory, in which nothing runs. */
export class MemoryCluster implements ClusterView {
  readonly #objects = new Map<string, KubeObject>();
  readonly #absent: ReadonlySet<Resource>;

  constructor(objects: readonly KubeObject[] = [], absent: readonly Resource[] = []) {
    this.#absent = new Set(absent);
    for (const object of objects) this.put(object);
  }

  put(object: KubeObject): void {
    this.#objects.set(`${gvkText(object)} ${keyOf(object.metadata)}`, object);
  }

  remove(resource: Resource, key: { readonly namespace?: string | undefined; readonly name: string }): void {
    this.#objects.delete(`${gvkText(resource)} ${keyOf(key)}`);
  }

  find(
    resource: Resource,
    key: { readonly namespace?: string | undefined; readonly name: string },
  ): KubeObject | undefined {
    return this.#objects.get(`${gvkText(resource)} ${keyOf(key)}`);
  }

  list(resource: Resource, namespace: string | undefined, labels = {}): readonly KubeObject[] {
    return [...this.#objects.values()].filter(
      (object) =>
        gvkText(object) === gvkText(resource) &&
        (namespace === undefined || object.metadata.namespace === namespace) &&
        matchesLabels(object.metadata.labels ?? {}, labels),
    );
  }

  serves(resource: Resource): boolean {
    return !this.#absent.has(resource);
  }

  get objects(): readonly KubeObject[] {
    return [...this.#objects.values()];
  }
}

/** The reference cluster state of the recordings. */
export function recordedCluster(): MemoryCluster {
  const classes = { apiVersion: KINDS.GatewayClass.apiVersion, kind: "GatewayClass", metadata: { name: "class" } };
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: NAMESPACE, name: "default" } };
  return new MemoryCluster([classes, account, ...GATEWAYS.map(([namespace, name]) => gateway(namespace, name))]);
}

/** Our counterpart of one recorded service. */
export interface Replayed {
  readonly name: string;
  /** The stored object, with the status of the last pass. */
  readonly service: JsonObject;
  readonly plan: Plan;
  /** Events of all passes. */
  readonly events: readonly PlannedEvent[];
}

const PASSES = 4;

interface Replay {
  readonly cluster: MemoryCluster;
  readonly configs: readonly ServiceConfig[];
  readonly configMaps: Readonly<Record<string, ConfigData>>;
  readonly global: GlobalConfig;
}

function onePass({ cluster, configs, configMaps, global }: Replay, service: JsonObject): Plan {
  const own = serviceOf(service, NAMESPACE);
  const status = { annotations: stringMapOf(at(service, "status", "annotations")) };
  const composable: ComposableService = { ...own, status };
  const composition = compose(composeInput(composable, { configs, configMaps, options: { global } }));
  return plan({
    service: {
      ...service,
      apiVersion: KINDS.LLMInferenceService.apiVersion,
      kind: KINDS.LLMInferenceService.kind,
      metadata: { ...own.metadata, uid: own.metadata.name, generation: 1 },
    },
    composition,
    global,
    settings: { systemNamespace: SYSTEM_NAMESPACE, clusterDomain: "cluster.local", wildcardHostname: "inference" },
    cluster,
    nowMs: 0,
    issueCertificate: () => ({ certificate: "", privateKey: "", authority: "" }),
  });
}

function settle(cluster: MemoryCluster, done: Plan): void {
  for (const { resource, key } of [...done.replacements, ...done.deletions]) cluster.remove(resource, key);
  for (const child of done.children) cluster.put(child);
}

function replayService(replay: Replay, stored: JsonObject): Replayed {
  let service = stored;
  const events: PlannedEvent[] = [];
  for (let count = 1; ; count++) {
    const done = onePass(replay, service);
    settle(replay.cluster, done);
    const concluded = done.conclude({});
    events.push(...concluded.events);
    const settled = sameJson(objectAt(service, "status"), concluded.status);
    service = { ...service, status: concluded.status };
    if (settled) return { name: stringAt(service, "metadata", "name") ?? "", service, plan: done, events };
    if (count === PASSES) throw new Error(`no steady state after ${PASSES} passes`);
  }
}

/** Does with the accepted objects of a recording what the operator would, until nothing changes any more. */
export function replay(recording: Recording): readonly Replayed[] {
  const objects = recording.accepted.map(storedForm);
  const ofKind = (kind: string): JsonObject[] => objects.filter((object) => object["kind"] === kind);
  const maps = ofKind("ConfigMap").map(
    (map) => [`${NAMESPACE}/${stringAt(map, "metadata", "name")}`, { data: stringMapOf(at(map, "data")) }] as const,
  );
  const run: Replay = {
    cluster: recordedCluster(),
    configs: ofKind("LLMInferenceServiceConfig").map((config) => configOf(config, NAMESPACE)),
    configMaps: Object.fromEntries(maps),
    global: recordedGlobal(),
  };
  return ofKind("LLMInferenceService").map((service) => replayService(run, service));
}

/** Children of a replayed service as plain JSON. */
export function childrenOf({ plan: done }: Replayed): readonly JsonObject[] {
  return done.children.map((child) => asJson(child)).filter(isObject);
}
