import { type GlobalConfig, parseGlobalConfig } from "../controllers/composition/global-config.ts";
import { ObjectView } from "../controllers/preview/object-view.ts";
import { at, isObject, listAt, objectAt, textAt } from "../crds/json.ts";
import { stringMapOf } from "../controllers/json-edit.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import { KINDS } from "../kube/resources.ts";
import { parseYaml, parseYamlDocuments } from "../kube/yaml.ts";
import { SYSTEM_NAMESPACE, configOf } from "./composition.ts";
import { listShared, readShared } from "./corpus.ts";
import { type Settled, type Surroundings, gateway, settled, storedForm } from "./settled.ts";

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

const nameOf = (object: Json): string => `${textAt(object, "kind")}/${textAt(object, "metadata", "name")}`;

/** The documents that were taken: of the file itself, and of the files named by `from`, whose configs it needs. */
function acceptedDocuments(path: string, applied: readonly Json[]): readonly JsonObject[] {
  const files = [path, ...applied.flatMap((entry) => textAt(entry, "from") ?? [])];
  const accepted = new Set(applied.flatMap((entry) => (at(entry, "apply") === "ok" ? [textAt(entry, "object")] : [])));
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

const GATEWAYS: readonly (readonly [namespace: string, name: string])[] = [
  ["kserve", "kserve-ingress-gateway"],
  ["kserve-ci-e2e-test", "router-gateway-1"],
  ["kserve-ci-e2e-test", "router-gateway-2"],
  ["e2e-ns", "router-gateway-1"],
  ["e2e-ns", "router-gateway-2"],
  ["kserve-test", "agentgateway"],
];

/** The ConfigMap of the recording. */
const GLOBAL_DATA: Readonly<Record<string, string>> = {
  "autoscaling-wva-controller-config": JSON.stringify({ prometheus: { url: "http://prometheus.monitoring:9090" } }),
};

function recordedGlobal(): GlobalConfig {
  const parsed = parseGlobalConfig(GLOBAL_DATA, SYSTEM_NAMESPACE);
  if (parsed.kind === "invalid") throw new Error(parsed.errors.join("; "));
  return parsed.config;
}

/** The reference cluster state of the recordings. */
export function recordedCluster(): ObjectView {
  const classes = { apiVersion: KINDS.GatewayClass.apiVersion, kind: "GatewayClass", metadata: { name: "class" } };
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: NAMESPACE, name: "default" } };
  return new ObjectView([classes, account, ...GATEWAYS.map(([namespace, name]) => gateway(namespace, name))]);
}

/** Does with the accepted objects of a recording what the operator would, until nothing changes any more. */
export function replay(recording: Recording): readonly Settled[] {
  const objects = recording.accepted.map(storedForm);
  const ofKind = (kind: string): JsonObject[] => objects.filter((object) => object["kind"] === kind);
  const maps = ofKind("ConfigMap").map(
    (map) => [`${NAMESPACE}/${textAt(map, "metadata", "name")}`, { data: stringMapOf(at(map, "data")) }] as const,
  );
  const run: Surroundings = {
    cluster: recordedCluster(),
    configs: ofKind("LLMInferenceServiceConfig").map((config) => configOf(config, NAMESPACE)),
    configMaps: Object.fromEntries(maps),
    global: recordedGlobal(),
  };
  return ofKind("LLMInferenceService").map((service) =>
    settled(run, { ...service, metadata: { ...objectAt(service["metadata"]), namespace: NAMESPACE } }),
  );
}
