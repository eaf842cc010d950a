import type { SidecarOptions } from "./config/options.ts";
import { RequestError } from "./http/errors.ts";
import { headerValues, type RawHeaders } from "./http/headers.ts";
import { type HostPort, parseHostPorts, ROUTING_HEADERS } from "./wire.ts";

/** What the endpoint picker says about a request. */
export interface Routing {
  readonly prefill: readonly HostPort[];
  readonly encoders: readonly HostPort[];
  readonly kvSource: HostPort | undefined;
  readonly dataParallel: HostPort | undefined;
}

/** Reads the routing headers; values that name no server are as absent ones. */
export function readRouting(headers: RawHeaders): Routing {
  const servers = (name: string): HostPort[] => parseHostPorts(headerValues(headers, name));
  return {
    prefill: servers(ROUTING_HEADERS.prefill),
    encoders: servers(ROUTING_HEADERS.encoders),
    kvSource: servers(ROUTING_HEADERS.kvSource)[0],
    dataParallel: servers(ROUTING_HEADERS.dataParallel)[0],
  };
}

/** The data-parallel rank that a request names by its endpoint. Throws `RequestError` where this pod has no such rank. */
export function rankOf(
  named: HostPort | undefined,
  { port, dataParallelSize, podIp }: Pick<SidecarOptions, "port" | "dataParallelSize" | "podIp">,
): number {
  if (named === undefined || dataParallelSize === 1) return 0;
  const rank = named.port - port;
  const isHere = podIp === undefined || podIp === named.host;
  if (isHere && rank >= 0 && rank < dataParallelSize) return rank;
  throw new RequestError(
    "BadRequestError",
    `${ROUTING_HEADERS.dataParallel} names no rank of this pod: ${named.host}:${named.port}`,
  );
}
