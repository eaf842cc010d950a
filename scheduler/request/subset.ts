import type { EndpointMetadata } from "../framework/endpoint.ts";

/** Whether the proxy's subset names the endpoint: as `ip:port`, or as `ip` for all its ports. */
export function inSubset(subset: readonly string[], { hostPort, address }: EndpointMetadata): boolean {
  return subset.some((entry) => entry === hostPort || entry === address || entry === `[${address}]`);
}
