import { isIPv6 } from "node:net";
import type { KubeObject } from "../../kube/types.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import { isRecord } from "../framework/parameters.ts";

/** Which pods are endpoints, and the ports of their model servers. */
export interface PoolSpec {
  /** Label selector as the API server takes it. */
  readonly selector: string;
  readonly ports: readonly number[];
  /** Application protocol of the pods; "" when the pool does not tell. */
  readonly appProtocol: string;
}

const ACTIVE_PORTS = ["llm-d.ai/active-ports", "inference.networking.k8s.io/active-ports"];
const MAX_PORT = 65_535;

function textMap(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {};
  const entries = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(entries);
}

const isPort = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value > 0 && value <= MAX_PORT;

/** Reads an InferencePool, v1 or v1alpha2; undefined when it selects nothing or is being deleted. */
export function readPool(pool: KubeObject): PoolSpec | undefined {
  const { spec } = pool;
  if (!isRecord(spec) || pool.metadata.deletionTimestamp !== undefined) return undefined;
  const { selector, targetPorts, targetPortNumber, appProtocol } = spec;
  const labels = textMap(isRecord(selector) && isRecord(selector["matchLabels"]) ? selector["matchLabels"] : selector);
  const listed = Array.isArray(targetPorts)
    ? targetPorts.map((port: unknown) => (isRecord(port) ? port["number"] : port))
    : [];
  const ports = [...listed, ...(listed.length === 0 ? [targetPortNumber] : [])].filter(isPort);
  const terms = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  if (terms.length === 0 || ports.length === 0) return undefined;
  return {
    selector: terms.sort().join(","),
    ports: [...new Set(ports)],
    appProtocol: typeof appProtocol === "string" ? appProtocol : "",
  };
}

function isReady({ metadata, status }: KubeObject): boolean {
  if (metadata.deletionTimestamp !== undefined || !isRecord(status)) return false;
  const { conditions } = status;
  return (
    Array.isArray(conditions) &&
    conditions.some((item) => isRecord(item) && item["type"] === "Ready" && item["status"] === "True")
  );
}

function isActive({ metadata: { annotations = {} } }: KubeObject, port: number): boolean {
  const name = ACTIVE_PORTS.find((known) => annotations[known] !== undefined);
  if (name === undefined) return true;
  return (annotations[name] ?? "").split(",").some((text) => text.trim() === String(port));
}

/** `host:port`, IPv6 in brackets. */
export function hostPortOf(address: string, port: number): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

/**
 * Endpoints of a selected pod: one for each active port, none unless the pod is Ready and has an address. `metricsPort` (0:
 * none) is where metrics are, for pools of one port.
 */
export function endpointsOf(pod: KubeObject, { ports }: PoolSpec, metricsPort: number): EndpointMetadata[] {
  const { metadata, status } = pod;
  const address = isRecord(status) && typeof status["podIP"] === "string" ? status["podIP"] : "";
  if (address === "" || !isReady(pod)) return [];
  const nodeAddress = isRecord(status) && typeof status["hostIP"] === "string" ? status["hostIP"] : "";
  const { namespace = "", name: podName, labels = {} } = metadata;
  return ports.flatMap((port, rank) => {
    if (!isActive(pod, port)) return [];
    const hostPort = hostPortOf(address, port);
    const metricsHost = metricsPort !== 0 && ports.length === 1 ? hostPortOf(address, metricsPort) : hostPort;
    const name = `${podName}-rank-${rank}`;
    return [{ namespace, name, podName, address, port, hostPort, labels, rank, metricsHost, nodeAddress }];
  });
}
