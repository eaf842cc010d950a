import { selectorMatches } from "../../kube/labels.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type Fields, canonicalJson, field, numberAt, recordsAt, safeHash, textAt, textMapAt } from "../fields.ts";
import { controllerReference } from "./ownership.ts";
import { isFinished, isReady } from "./pod-state.ts";
import { labelsOf } from "./selector.ts";

/** Label of an EndpointSlice that names its Service (discovery.k8s.io/v1). */
export const SERVICE_NAME = "kubernetes.io/service-name";

/** Value of the label that says who writes a slice. */
const MANAGED_BY = "endpointslice-controller.k8s.io";

/** Endpoints of one slice (the default limit of Kubernetes). */
const SLICE_SIZE = 100;

/**
 * The EndpointSlices of a Service with a selector: its pods that have an address, grouped by what its target ports resolve
 * to. A Service without a selector has none. Source: discovery.k8s.io/v1.
 */
export function buildEndpointSlices(service: KubeObject, pods: readonly KubeObject[]): KubeObject[] {
  const matchLabels = textMapAt(service, "spec", "selector");
  if (Object.keys(matchLabels).length === 0) return [];
  const selected = pods
    .filter((pod) => selectorMatches({ matchLabels }, labelsOf(pod)) && !isFinished(pod))
    .filter((pod) => textAt(pod, "status", "podIP") !== undefined)
    .sort((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1));
  const groups = Map.groupBy(selected, (pod) => canonicalJson(resolvePorts(service, pod)));
  if (groups.size === 0) groups.set(canonicalJson(resolvePorts(service, undefined)), []);
  return [...groups].flatMap(([ports, members]) =>
    chunks(members).map((chunk, index) =>
      buildSlice(service, JSON.parse(ports) as Fields[], chunk, `${ports}${index}`),
    ),
  );
}

function chunks(pods: readonly KubeObject[]): (readonly KubeObject[])[] {
  const count = Math.max(1, Math.ceil(pods.length / SLICE_SIZE));
  return Array.from({ length: count }, (_, index) => pods.slice(index * SLICE_SIZE, (index + 1) * SLICE_SIZE));
}

function buildSlice(service: KubeObject, ports: Fields[], pods: readonly KubeObject[], salt: string): KubeObject {
  const publish = field(service, "spec", "publishNotReadyAddresses") === true;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${service.metadata.name}-${safeHash(salt).slice(0, 5)}`,
      namespace: service.metadata.namespace,
      labels: {
        ...service.metadata.labels,
        [SERVICE_NAME]: service.metadata.name,
        "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
      },
      ownerReferences: [controllerReference(service)],
    },
    addressType: "IPv4",
    endpoints: pods.map((pod) => buildEndpoint(pod, publish)),
    ports,
  };
}

function buildEndpoint(pod: KubeObject, publishNotReady: boolean): Fields {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isReady(pod);
  return {
    addresses: [textAt(pod, "status", "podIP")],
    conditions: { ready: publishNotReady || (serving && !terminating), serving, terminating },
    nodeName: textAt(pod, "spec", "nodeName"),
    targetRef: { kind: "Pod", name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
  };
}

/** The slice ports of a Service on one pod; a named target port that no container of the pod declares is left out. */
function resolvePorts(service: KubeObject, pod: KubeObject | undefined): Fields[] {
  return recordsAt(service, "spec", "ports").flatMap((port) => {
    const number = resolveTarget(port, pod);
    if (number === undefined) return [];
    const appProtocol = textAt(port, "appProtocol");
    return [
      {
        name: textAt(port, "name") ?? "",
        port: number,
        protocol: textAt(port, "protocol") ?? "TCP",
        ...(appProtocol === undefined ? {} : { appProtocol }),
      },
    ];
  });
}

function resolveTarget(port: Fields, pod: KubeObject | undefined): number | undefined {
  const target = port["targetPort"] ?? port["port"];
  if (typeof target === "number") return target;
  const containers = [...recordsAt(pod, "spec", "containers"), ...recordsAt(pod, "spec", "initContainers")];
  const declared = containers.flatMap((container) => recordsAt(container, "ports"));
  return numberAt(
    declared.find((candidate) => candidate["name"] === target),
    "containerPort",
  );
}
