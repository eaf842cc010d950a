import { isIPv6 } from "node:net";
import { type LabelSelector, selectorMatches } from "../../kube/labels.ts";
import type { KubeObject } from "../../kube/types.ts";
import { isRecord } from "../framework/parameters.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";

/** Which pods a pool selects, and the ports of their model servers. */
export interface PoolSpec {
  readonly selector: LabelSelector;
  readonly ports: readonly number[];
}

const ACTIVE_PORTS = ["llm-d.ai/active-ports", "inference.networking.k8s.io/active-ports"];

function textMap(value: unknown): Readonly<Record<string, string>> | undefined {
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Reads an InferencePool, v1 or v1alpha2; undefined when it selects nothing or is being deleted. */
export function readPool(pool: KubeObject): PoolSpec | undefined {
  const { spec } = pool;
  if (!isRecord(spec) || pool.metadata.deletionTimestamp !== undefined) return undefined;
  const { selector, targetPorts, targetPortNumber } = spec;
  const matchLabels = textMap(
    isRecord(selector) && isRecord(selector["matchLabels"]) ? selector["matchLabels"] : selector,
  );
  const listed = Array.isArray(targetPorts)
    ? targetPorts.map((port: unknown) => (isRecord(port) ? port["number"] : port))
    : [];
  const ports = [...listed, targetPortNumber].filter((port): port is number => typeof port === "number");
  return matchLabels === undefined || ports.length === 0 ? undefined : { selector: { matchLabels }, ports };
}

function isReady({ metadata, status }: KubeObject): boolean {
  if (metadata.deletionTimestamp !== undefined || !isRecord(status)) return false;
  const { conditions } = status;
  return (
    Array.isArray(conditions) &&
    conditions.some((item) => isRecord(item) && item["type"] === "Ready" && item["status"] === "True")
  );
}

function isActive(pod: KubeObject, port: number): boolean {
  const { annotations = {} } = pod.metadata;
  const name = ACTIVE_PORTS.find((known) => annotations[known] !== undefined);
  if (name === undefined) return true;
  return (annotations[name] ?? "").split(",").some((text) => text.trim() === String(port));
}

/** Endpoints of a pod: one for each active port, none unless the pod is Ready, selected and has an address. */
export function endpointsOf(pod: KubeObject, { selector, ports }: PoolSpec): EndpointMetadata[] {
  const { metadata, status } = pod;
  const labels = metadata.labels ?? {};
  const address = isRecord(status) && typeof status["podIP"] === "string" ? status["podIP"] : "";
  if (address === "" || !isReady(pod) || !selectorMatches(selector, labels)) return [];
  const nodeAddress = isRecord(status) && typeof status["hostIP"] === "string" ? status["hostIP"] : "";
  return ports.flatMap((port, rank) => {
    if (!isActive(pod, port)) return [];
    const hostPort = `${isIPv6(address) ? `[${address}]` : address}:${port}`;
    const name = `${metadata.name}-rank-${rank}`;
    const namespace = metadata.namespace ?? "";
    const common = { namespace, name, podName: metadata.name, address, port, hostPort, labels, rank };
    return [{ ...common, metricsHost: hostPort, nodeAddress }];
  });
}
