import { isIPv4, isIPv6 } from "node:net";

/** Private, loopback, link-local and shared address ranges as first octets and a test of the second. */
function isPrivateIpv4(address: string): boolean {
  const [first = 0, second = 0] = address.split(".").map(Number);
  if (first === 10 || first === 127) return true;
  if (first === 172) return second >= 16 && second <= 31;
  if (first === 192) return second === 168;
  if (first === 169) return second === 254;
  return first === 100 && second >= 64 && second <= 127;
}

const isPrivateIpv6 = (address: string): boolean => /^(f[cd]|fe[89ab]|::1$)/i.test(address);

/** Whether a host is an IP address, with or without brackets. */
export function isAddress(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  return isIPv4(bare) || isIPv6(bare);
}

/** Whether a host is reachable only from inside: private addresses, names of the cluster, and special-use names. */
export function isInternalHost(host: string, clusterDomain: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  if (isIPv4(bare)) return isPrivateIpv4(bare);
  if (isIPv6(bare)) return isPrivateIpv6(bare);
  return (
    bare === "localhost" || [clusterDomain, ".local", ".localhost", ".internal"].some((suffix) => bare.endsWith(suffix))
  );
}

/** `scheme://host[:port]path`: standard ports are left out, IPv6 addresses bracketed. */
export function formatUrl(scheme: string, host: string, port: number | undefined, path: string): string {
  const standard = scheme === "https" ? 443 : 80;
  const suffix = port === undefined || port === standard ? "" : `:${port}`;
  return `${scheme}://${isIPv6(host) ? `[${host}]` : host}${suffix}${path}`;
}
