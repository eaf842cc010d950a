import type { EndpointMetadata } from "../framework/endpoint.ts";

/** Whether the proxy's subset names an endpoint. */
export type SubsetTest = (endpoint: Pick<EndpointMetadata, "address" | "hostPort">) => boolean;

/**
 * Reads a subset of `ip:port` and `ip` entries, IPv6 with or without brackets. An entry names its very endpoint; one without a
 * port, or with a port that none of `endpoints` has at that address, names all endpoints of the address.
 */
export function createSubsetTest(
  subset: readonly string[],
  endpoints: Iterable<Pick<EndpointMetadata, "hostPort">>,
): SubsetTest {
  const known = new Set<string>();
  for (const { hostPort } of endpoints) known.add(hostPort);
  const exact = new Set(subset.filter((entry) => known.has(entry)));
  const addresses = new Set(subset.filter((entry) => !exact.has(entry)).map(addressOf));
  return ({ address, hostPort }) => exact.has(hostPort) || addresses.has(address);
}

/** The address of `ip`, `ip:port`, `[ip]` or `[ip]:port`; of an IPv6 address without brackets itself. */
function addressOf(entry: string): string {
  const bracketed = /^\[(.*)\](?::\d+)?$/.exec(entry);
  if (bracketed !== null) return bracketed[1]!;
  const [address = "", ...rest] = entry.split(":");
  return rest.length === 1 ? address : entry;
}
