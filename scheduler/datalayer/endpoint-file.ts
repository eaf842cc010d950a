import { isIP, isIPv4 } from "node:net";
import { parseYaml } from "../../kube/yaml.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import { isRecord } from "../framework/parameters.ts";
import { hostPortOf } from "./pool.ts";

/** Endpoints of a file, and what is wrong with the other entries. */
export interface EndpointFile {
  readonly endpoints: readonly EndpointMetadata[];
  readonly problems: readonly string[];
}

/** Rules of the two kinds of file: in one cluster addresses are IPv4, across clusters host names and IPv6 as well. */
export type EndpointFileKind = "cluster" | "multicluster";

/** Bytes of a file. */
export const MAX_FILE_BYTES = 1024 * 1024;
const HOST_NAME =
  /^(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?$/;
const DEFAULT_NAMESPACE = "default";

/** Reads `endpoints: [{name, namespace, address, port, labels}]`, YAML or JSON. Of entries with one name the last counts. */
export function readEndpointFile(text: string, kind: EndpointFileKind): EndpointFile {
  const problems: string[] = [];
  const endpoints = new Map<string, EndpointMetadata>();
  listOf(text, problems).forEach((item, index) => {
    const found: string[] = [];
    const endpoint = readEntry(item, kind, found);
    if (found.length === 0) endpoints.set(`${endpoint.namespace}/${endpoint.name}`, endpoint);
    problems.push(...found.map((problem) => `endpoints[${index}]${problem}`));
  });
  return { endpoints: [...endpoints.values()], problems };
}

function listOf(text: string, problems: string[]): readonly unknown[] {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
    problems.push(`the file is larger than ${MAX_FILE_BYTES} bytes; split the fleet`);
    return [];
  }
  try {
    const document = parseYaml(text) ?? {};
    const list = isRecord(document) ? (document["endpoints"] ?? []) : undefined;
    if (Array.isArray(list)) return list;
    problems.push('the file is not an object with a list "endpoints"');
  } catch (error) {
    problems.push(`the file is neither YAML nor JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  return [];
}

function readEntry(item: unknown, kind: EndpointFileKind, problems: string[]): EndpointMetadata {
  const source = isRecord(item) ? item : {};
  const text = (key: string): string => (typeof source[key] === "string" ? source[key] : "");
  const [name, namespace, address] = [text("name"), text("namespace") || DEFAULT_NAMESPACE, text("address")];
  if (name === "") problems.push(".name: required text is missing");
  if (!isAddress(address, kind))
    problems.push(
      `.address: ${JSON.stringify(source["address"])} is no ${kind === "cluster" ? "IPv4 address" : "address or host name"}`,
    );
  const port = portOf(source["port"]);
  if (port === undefined)
    problems.push(`.port: ${JSON.stringify(source["port"])} is no text of a number from 1 to 65535`);
  const labels = labelsOf(source["labels"], problems);
  const hostPort = hostPortOf(address, port ?? 0);
  const metricsHost = kind === "multicluster" ? metricsHostOf(labels, address, port ?? 0) : hostPort;
  const place = { address, port: port ?? 0, hostPort, metricsHost, nodeAddress: "", rank: 0 };
  return { namespace, name, podName: name, labels, ...place };
}

function isAddress(address: string, kind: EndpointFileKind): boolean {
  return kind === "cluster" ? isIPv4(address) : isIP(address) !== 0 || HOST_NAME.test(address);
}

function portOf(value: unknown): number | undefined {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string" || !/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function labelsOf(value: unknown, problems: string[]): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (isRecord(value) && Object.values(value).every((text) => typeof text === "string"))
    return value as Readonly<Record<string, string>>;
  problems.push(".labels: is not an object of texts");
  return {};
}

function metricsHostOf(labels: Readonly<Record<string, string>>, address: string, port: number): string {
  return hostPortOf(labels["metricsAddress"] ?? address, portOf(labels["metricsPort"]) ?? port);
}
