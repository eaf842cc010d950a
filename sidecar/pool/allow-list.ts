import { isIPv6 } from "node:net";
import type { KubeObject } from "../../kube/types.ts";
import { isRecord } from "../../kube/wire.ts";

/** The label selector of an InferencePool of either API group, as the API server takes it; undefined where it selects nothing. */
export function poolSelector(pool: KubeObject): string | undefined {
  const { spec, metadata } = pool;
  if (!isRecord(spec) || metadata.deletionTimestamp !== undefined) return undefined;
  const { selector } = spec;
  const labels = isRecord(selector) && isRecord(selector["matchLabels"]) ? selector["matchLabels"] : selector;
  if (!isRecord(labels)) return undefined;
  const terms = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`);
  return terms.length === 0 ? undefined : terms.sort().join(",");
}

/** What a pod may be called by: its addresses and its name. */
export function podHosts({ metadata, status }: KubeObject): string[] {
  const { podIP, podIPs } = isRecord(status) ? status : {};
  const listed = Array.isArray(podIPs)
    ? podIPs.map((entry: unknown) => (isRecord(entry) ? entry["ip"] : undefined))
    : [];
  const addresses = [podIP, ...listed].filter((ip): ip is string => typeof ip === "string" && ip !== "");
  return [...new Set([metadata.name, ...addresses].map(canonicalHost))];
}

/** One spelling for each host: names in lower case, IPv6 addresses shortened. */
export function canonicalHost(host: string): string {
  return isIPv6(host) ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host.toLowerCase();
}
