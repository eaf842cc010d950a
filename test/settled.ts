import { compose } from "../controllers/composition/compose.ts";
import type { GlobalConfig } from "../controllers/composition/global-config.ts";
import { at, isObject, objectAt, sameJson, textAt } from "../crds/json.ts";
import type { ComposableService, ComposeInput, ConfigData, ServiceConfig } from "../controllers/composition/types.ts";
import { stringMapOf } from "../controllers/json-edit.ts";
import type { PlannedEvent } from "../controllers/llminferenceservice/conclusion.ts";
import { asJson } from "../controllers/llminferenceservice/pass.ts";
import { type Plan, plan } from "../controllers/llminferenceservice/plan.ts";
import type { ObjectView } from "../controllers/preview/object-view.ts";
import { stored } from "../controllers/preview/stored-form.ts";
import type { JsonObject } from "../crds/schema/types.ts";
import { KINDS, resourceOf } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { SYSTEM_NAMESPACE, composeInput, serviceOf } from "./composition.ts";

/** An object as an API server stores it: pruned and defaulted in its own version, converted, then defaulted as ours. */
export const storedForm = (document: JsonObject): JsonObject => stored(document).object;

/** A programmed Gateway of class `class` with one HTTP listener, at 10.96.0.10. */
export function gateway(namespace: string, name: string): KubeObject {
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

/** A service of which nothing is left to be done. */
export interface Settled {
  readonly name: string;
  /** The stored object, with the status of the last pass. */
  readonly service: JsonObject;
  readonly plan: Plan;
  /** Events of all passes. */
  readonly events: readonly PlannedEvent[];
}

const PASSES = 6;

/** Where a service is settled. */
export interface Surroundings {
  readonly cluster: ObjectView;
  readonly configs: readonly ServiceConfig[];
  readonly configMaps: Readonly<Record<string, ConfigData>>;
  readonly global: GlobalConfig;
  /** Whether the operator and its presets are pinned by name; on unless said otherwise. */
  readonly options?: Partial<ComposeInput>;
}

const namespaceOf = (service: JsonObject): string => textAt(service, "metadata", "namespace") ?? "default";

function onePass({ cluster, configs, configMaps, global, options }: Surroundings, service: JsonObject): Plan {
  const own = serviceOf(service, namespaceOf(service));
  const status = { annotations: stringMapOf(at(service, "status", "annotations")) };
  const composable: ComposableService = { ...own, status };
  const composition = compose(composeInput(composable, { configs, configMaps, options: { ...options, global } }));
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
    issueCertificate: () => ({ certificate: "certificate", privateKey: "key", authority: "authority" }),
  });
}

/** A child after its application: what others set stays, the status and a number of replicas that is not stated. */
function applied(live: JsonObject | undefined, child: KubeObject): KubeObject {
  const status = live?.["status"];
  const replicas = at(live, "spec", "replicas");
  const spec = objectAt(asJson(child), "spec");
  const keeps = spec !== undefined && spec["replicas"] === undefined && replicas !== undefined;
  return {
    ...child,
    ...(keeps ? { spec: { ...spec, replicas } } : {}),
    ...(status === undefined ? {} : { status }),
  };
}

function settle(cluster: ObjectView, done: Plan): void {
  for (const { resource, key } of [...done.replacements, ...done.deletions]) cluster.remove(resource, key);
  for (const child of done.children) {
    cluster.put(applied(asJson(cluster.find(resourceOf(child), child.metadata)), child));
  }
}

/** The stored service with its status as an object of the cluster. */
const asObject = (service: JsonObject): KubeObject => {
  const { metadata, ...rest } = service;
  const { name, namespace } = { name: textAt(metadata, "name") ?? "", namespace: namespaceOf(service) };
  return { ...rest, metadata: { ...objectAt(metadata), name, namespace, uid: name } } as unknown as KubeObject;
};

/** Passes over a stored service, applying what is planned, until nothing changes any more. Throws where that never happens. */
export function settled(surroundings: Surroundings, manifest: JsonObject): Settled {
  const live = asJson(surroundings.cluster.find(KINDS.LLMInferenceService, asObject(manifest).metadata));
  let service = live?.["status"] === undefined ? manifest : { ...manifest, status: live["status"] };
  const events: PlannedEvent[] = [];
  for (let count = 1; ; count++) {
    surroundings.cluster.put(asObject(service));
    const done = onePass(surroundings, service);
    const before = JSON.stringify(surroundings.cluster.objects);
    settle(surroundings.cluster, done);
    const { status, events: told } = done.conclude({});
    events.push(...told);
    const quiet =
      sameJson(objectAt(service, "status"), status) && before === JSON.stringify(surroundings.cluster.objects);
    service = { ...service, status };
    if (quiet) return { name: textAt(service, "metadata", "name") ?? "", service, plan: done, events };
    if (count === PASSES) throw new Error(`no steady state after ${PASSES} passes`);
  }
}

/** Children of a settled service as plain JSON. */
export function childrenOf({ plan: done }: Settled): readonly JsonObject[] {
  return done.children.map((child) => asJson(child)).filter(isObject);
}
