import { singleToken } from "../body/api.ts";
import { jsonObject } from "../body/document.ts";
import type { HostPort } from "../wire.ts";
import type { SequentialConnector } from "./connector.ts";

/** Where pods let others pull blocks from, each rank on a port of its own. */
export interface P2pSettings {
  /** Port of the rank 0. */
  readonly p2pConnectorPort: number;
  /** Port that rank 0 serves clients on. */
  readonly port: number;
  readonly dataParallelSize: number;
}

/** The port that blocks of an endpoint are pulled from: that of its rank, of rank 0 where its own port tells none. */
export function p2pPort(endpoint: HostPort, { p2pConnectorPort, port, dataParallelSize }: P2pSettings): number {
  const rank = endpoint.port - port;
  return p2pConnectorPort + (rank >= 0 && rank < dataParallelSize ? rank : 0);
}

/** Where blocks are pulled from, and under which id, as `kv_transfer_params` say it. */
export function p2pPeer(endpoint: HostPort, id: string, settings: P2pSettings): Buffer {
  return jsonObject({
    kv_request_id: JSON.stringify(id),
    remote_host: JSON.stringify(endpoint.host),
    remote_port: String(p2pPort(endpoint, settings)),
  });
}

/**
 * vLLM's OffloadingConnector: prefill stores the blocks under an id, by which decode pulls them. Decode waits for prefill: one
 * that asks for blocks which are not there yet runs into the engine's deadline, and computes the prompt itself.
 */
export function createOffloading(settings: P2pSettings): SequentialConnector {
  return {
    order: "sequential",
    prefill: ({ body, api, requestId, kvSource }) => ({
      body: body.with({
        ...singleToken(body, api, "one"),
        kv_transfer_params: jsonObject({
          remote_decoder: jsonObject({ kv_request_id: JSON.stringify(requestId) }),
          ...(kvSource && { remote_kv_source: kvSource }),
        }),
      }),
    }),
    decode: ({ body, requestId, prefill }) => ({
      body: body.with({
        kv_transfer_params: jsonObject({ remote_prefiller: p2pPeer(prefill, requestId, settings) }),
      }),
    }),
  };
}
