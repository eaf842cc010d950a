/** Names that the sidecar, the endpoint picker and the engines share, as they are on the wire. */

/** Headers that the endpoint picker sets; in lower case. */
export const ROUTING_HEADERS = {
  /** Endpoints that may compute the prompt: `host:port`, several separated by commas. */
  prefill: "x-prefiller-host-port",
  /** Endpoints that encode images, video and audio. */
  encoders: "x-encoder-hosts-ports",
  /** Endpoint that holds cached blocks of the prompt. */
  kvSource: "x-kv-cache-source-host-port",
  /** Endpoint of the data-parallel rank that answers. */
  dataParallel: "x-data-parallel-host-port",
} as const;

/** Routing headers that end here; the data-parallel one is kept, as engines may read it. */
export const CONSUMED_HEADERS: ReadonlySet<string> = new Set([
  ROUTING_HEADERS.prefill,
  ROUTING_HEADERS.encoders,
  ROUTING_HEADERS.kvSource,
]);

/** Request id, which engines take over: both stages of a request must carry the same one, and no other request. */
export const REQUEST_ID = "x-request-id";
/** The request id that the client gave. */
export const CLIENT_REQUEST_ID = "x-client-request-id";

/** A server process as headers name it. */
export interface HostPort {
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** `host:port`, IPv6 in brackets. */
export function hostPortText({ host, port }: HostPort): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Reads `host:port`, with a scheme in front or not; without a port it is that of plain HTTP. Undefined where it is neither a
 * name nor an address.
 */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:https?:\/\/)?(?:\[([\da-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?\/?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, address, name, port = "80"] = match;
  const number = Number(port);
  return number === 0 || number > 65_535 ? undefined : { host: (address ?? name ?? "").toLowerCase(), port: number };
}

/** The `host:port`s of one or more headers; what is none is left out. */
export function parseHostPorts(values: readonly string[]): HostPort[] {
  return values.flatMap((value) => value.split(",")).flatMap((text) => parseHostPort(text) ?? []);
}
