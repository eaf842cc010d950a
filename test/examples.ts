import { type GlobalConfig, parseGlobalConfig } from "../controllers/composition/global-config.ts";
import { ObjectView } from "../controllers/preview/object-view.ts";
import { isObject, listAt, objectAt, textAt } from "../crds/json.ts";
import { named, stringsOf } from "../controllers/json-edit.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import { KINDS } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { SYSTEM_NAMESPACE, configOf } from "./composition.ts";
import { type Settled, childrenOf, gateway, settled, storedForm } from "./settled.ts";

/** What surrounds the service of a worked example. */
export interface Example {
  readonly namespace?: string;
  readonly name: string;
  readonly spec: JsonObject;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Specs of configs in the service's namespace. */
  readonly configs?: Readonly<Record<string, JsonObject>>;
  /** Keys of ConfigMap `inferenceservice-config`. */
  readonly global?: Readonly<Record<string, JsonObject>>;
  readonly objects?: readonly KubeObject[];
  readonly cluster?: ObjectView;
}

/** The configuration of the operator with these keys of its ConfigMap. */
export function globalConfig(keys: Readonly<Record<string, JsonObject>> = {}): GlobalConfig {
  const data = Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, JSON.stringify(value)]));
  const parsed = parseGlobalConfig(data, SYSTEM_NAMESPACE);
  if (parsed.kind === "invalid") throw new Error(parsed.errors.join("; "));
  return parsed.config;
}

/** TLS between the components, as KServe's ConfigMap switches it on. */
export const WITH_TLS: Readonly<Record<string, JsonObject>> = {
  ingress: {
    ingressGateway: "kserve/kserve-ingress-gateway",
    kserveIngressGateway: "kserve/kserve-ingress-gateway",
    enableLLMInferenceServiceTLS: true,
  },
};

/** An object without content, such as a ServiceAccount that only has to exist. */
export function bare(
  resource: { readonly apiVersion: string; readonly kind: string },
  namespace: string,
  name: string,
): KubeObject {
  return { apiVersion: resource.apiVersion, kind: resource.kind, metadata: { namespace, name } };
}

/** A cluster with the default Gateway and the `default` ServiceAccount of the namespace. */
export function exampleCluster(namespace: string, objects: readonly KubeObject[] = []): ObjectView {
  const classes = { apiVersion: KINDS.GatewayClass.apiVersion, kind: "GatewayClass", metadata: { name: "class" } };
  const account = bare(KINDS.ServiceAccount, namespace, "default");
  return new ObjectView([classes, account, gateway("kserve", "kserve-ingress-gateway"), ...objects]);
}

/** The children of an example by kind and name, and the rest of its outcome. */
export interface Outcome {
  readonly settled: Settled;
  readonly cluster: ObjectView;
  readonly status: JsonObject;
  /** `Kind name` of every child, sorted. */
  readonly names: readonly string[];
  child(kind: string, name: string): JsonObject;
}

/** Settles an example, its manifest defaulted as admission does. */
export function run(example: Example): Outcome {
  const { namespace = "ns1", name, spec, configs = {}, objects = [] } = example;
  const { labels = {}, annotations = {} } = example;
  const manifest = {
    apiVersion: KINDS.LLMInferenceService.apiVersion,
    kind: "LLMInferenceService",
    metadata: { name, namespace, labels: { ...labels }, annotations: { ...annotations } },
    spec,
  };
  const cluster = example.cluster ?? exampleCluster(namespace, objects);
  const surroundings = {
    cluster,
    configs: Object.entries(configs).map(([config, content]) =>
      configOf({ metadata: { name: config }, spec: content }, namespace),
    ),
    configMaps: {},
    global: globalConfig(example.global),
  };
  const outcome = settled(surroundings, storedForm(manifest));
  const children = childrenOf(outcome);
  const title = (object: Json): string => `${textAt(object, "kind")} ${textAt(object, "metadata", "name")}`;
  return {
    settled: outcome,
    cluster,
    status: objectAt(outcome.service, "status") ?? {},
    names: children.map(title).sort(),
    child(kind, childName) {
      const found = children.find((object) => title(object) === `${kind} ${childName}`);
      if (found === undefined) throw new Error(`no ${kind} ${childName}; there are ${children.map(title).join(", ")}`);
      return found;
    },
  };
}

/** The pod spec of a Deployment. */
export const podOf = (workload: JsonObject): JsonObject => objectAt(workload, "spec", "template", "spec") ?? {};

/** The container, or init container, of that name. */
export function containerOf(pod: JsonObject, name = "main"): JsonObject {
  const found = named(pod["containers"], name) ?? named(pod["initContainers"], name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
}

/** Names of the entries of a list. */
export const namesOf = (list: Json | undefined): readonly string[] =>
  (Array.isArray(list) ? list : []).filter(isObject).map((item) => textAt(item, "name") ?? "");

/** The engine's start script. */
export const scriptOf = (container: JsonObject): string => stringsOf(container["command"])[2] ?? "";

/** Conditions of a status as `type: status reason`. */
export const conditionsOf = (status: JsonObject): readonly string[] =>
  listAt(status, "conditions").map((condition) => {
    const reason = textAt(condition, "reason");
    return `${textAt(condition, "type")}: ${textAt(condition, "status")}${reason === undefined ? "" : ` ${reason}`}`;
  });
