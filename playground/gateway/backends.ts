import { selectorMatches } from "../../kube/labels.ts";
import { KINDS, groupOf } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { SERVICE_NAME } from "../controllers/endpoint-slice.ts";
import { isReady } from "../controllers/pod-state.ts";
import { labelsOf } from "../controllers/selector.ts";
import { type Fields, numberAt, recordAt, recordsAt, textAt, textMapAt, textsAt } from "../fields.ts";
import type { Mirror } from "../mirror.ts";

/** An address to connect to. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The objects that backends are found in. */
export interface BackendSources {
  readonly services: Mirror;
  readonly slices: Mirror;
  readonly pods: Mirror;
  readonly pools: readonly Mirror[];
  readonly grants: Mirror;
}

/** A pool as the gateway uses it, whichever version of the kind it has. */
export interface Pool {
  readonly object: KubeObject;
  readonly ports: readonly number[];
  readonly selector: Readonly<Record<string, string>>;
  readonly picker: { readonly name: string; readonly port: number };
  /** Whether requests go on without the picker when it fails. */
  readonly failOpen: boolean;
}

/** What a backend reference leads to. */
export type Backend =
  | { readonly kind: "service"; readonly service: KubeObject; readonly port: number }
  | { readonly kind: "pool"; readonly pool: Pool }
  | { readonly kind: "unresolved"; readonly reason: string; readonly message: string };

const POOL_GROUPS = new Set([groupOf(KINDS.InferencePool.apiVersion), groupOf(KINDS.InferencePoolV1Alpha2.apiVersion)]);

/** Finds the object of a `backendRef` of a route in `namespace`; reasons are those of the condition ResolvedRefs. */
export function resolveBackend(reference: Fields, namespace: string, sources: BackendSources): Backend {
  const group = textAt(reference, "group") ?? "";
  const kind = textAt(reference, "kind") ?? "Service";
  const name = textAt(reference, "name") ?? "";
  const target = textAt(reference, "namespace") ?? namespace;
  const missing = (): Backend => unresolved("BackendNotFound", `${kind} ${target}/${name} not found`);
  if (target !== namespace && !isGranted(namespace, target, { group, kind, name }, sources.grants))
    return unresolved("RefNotPermitted", `no ReferenceGrant lets routes of ${namespace} use ${kind} ${target}/${name}`);
  if (group === "" && kind === "Service") {
    const service = sources.services.get({ namespace: target, name });
    return service === undefined ? missing() : { kind: "service", service, port: numberAt(reference, "port") ?? 0 };
  }
  if (kind !== "InferencePool" || !POOL_GROUPS.has(group))
    return unresolved("InvalidKind", `${kind} of group "${group}" is not supported`);
  const mirror = sources.pools.find((candidate) => groupOf(candidate.resource.apiVersion) === group);
  const object = mirror?.get({ namespace: target, name });
  return object === undefined ? missing() : { kind: "pool", pool: readPool(object) };
}

function unresolved(reason: string, message: string): Backend {
  return { kind: "unresolved", reason, message };
}

function isGranted(
  from: string,
  to: string,
  target: { readonly group: string; readonly kind: string; readonly name: string },
  grants: Mirror,
): boolean {
  return grants
    .list()
    .filter((grant) => grant.metadata.namespace === to)
    .some(
      (grant) =>
        recordsAt(grant, "spec", "from").some((one) => one["kind"] === "HTTPRoute" && one["namespace"] === from) &&
        recordsAt(grant, "spec", "to").some(
          (one) =>
            (textAt(one, "group") ?? "") === target.group &&
            one["kind"] === target.kind &&
            (textAt(one, "name") ?? target.name) === target.name,
        ),
    );
}

/** Reads a pool of either group. */
export function readPool(object: KubeObject): Pool {
  const picker = recordAt(object, "spec", "endpointPickerRef") ?? recordAt(object, "spec", "extensionRef") ?? {};
  const matchLabels = recordAt(object, "spec", "selector", "matchLabels");
  const selector =
    matchLabels === undefined ? textMapAt(object, "spec", "selector") : textMapAt({ matchLabels }, "matchLabels");
  const ports = recordsAt(object, "spec", "targetPorts").flatMap((port) => numberAt(port, "number") ?? []);
  return {
    object,
    selector,
    ports: ports.length > 0 ? ports : [numberAt(object, "spec", "targetPortNumber") ?? 8000],
    picker: {
      name: textAt(picker, "name") ?? "",
      port: numberAt(picker, "port", "number") ?? numberAt(picker, "portNumber") ?? 9002,
    },
    failOpen: textAt(picker, "failureMode") === "FailOpen",
  };
}

/** Ready addresses of a Service's port (the port number of the Service); those that still serve where none is ready. */
export function serviceAddresses(service: KubeObject, port: number, slices: Mirror): Address[] {
  const { namespace, name } = service.metadata;
  const portName = textAt(
    recordsAt(service, "spec", "ports").find((candidate) => candidate["port"] === port),
    "name",
  );
  const own = slices
    .list()
    .filter((slice) => slice.metadata.namespace === namespace && labelsOf(slice)[SERVICE_NAME] === name);
  const of = (condition: string): Address[] =>
    own.flatMap((slice) => {
      const target = recordsAt(slice, "ports").find((one) => (textAt(one, "name") ?? "") === (portName ?? ""));
      const number = numberAt(target, "port");
      if (number === undefined) return [];
      return recordsAt(slice, "endpoints")
        .filter((endpoint) => recordAt(endpoint, "conditions")?.[condition] === true)
        .flatMap((endpoint) => textsAt(endpoint, "addresses").map((host) => ({ host, port: number })));
    });
  const ready = of("ready");
  return ready.length > 0 ? ready : of("serving");
}

/** Addresses of the ready pods of a pool, one for each target port. */
export function poolAddresses(pool: Pool, pods: Mirror): Address[] {
  return pods
    .list()
    .filter((pod) => pod.metadata.namespace === pool.object.metadata.namespace)
    .filter((pod) => pod.metadata.deletionTimestamp === undefined && isReady(pod))
    .filter((pod) => selectorMatches({ matchLabels: pool.selector }, labelsOf(pod)))
    .flatMap((pod) => {
      const host = textAt(pod, "status", "podIP");
      return host === undefined ? [] : pool.ports.map((port) => ({ host, port }));
    });
}
