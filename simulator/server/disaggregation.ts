import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { ApiError } from "./errors.ts";

/** Where the KV blocks of a prompt are held for another engine. */
export interface HeldBlocks {
  readonly engineId: string;
  readonly requestId: string;
  /** Address of the engine's server. */
  readonly host: string;
  readonly port: number;
  readonly blockIds: readonly number[];
}

/** What `kv_transfer_params` of a request ask for (vLLM's NIXL connector). */
export interface KvTransfer {
  /** Compute the prompt and hold its blocks; another engine generates. */
  readonly remoteDecode: boolean;
  /** Take the prompt's blocks from another engine. */
  readonly remotePrefill: boolean;
  /** The holder of these blocks, where the parameters are those of such an engine as this. */
  readonly holder: Omit<HeldBlocks, "blockIds"> | undefined;
}

type Json = Readonly<Record<string, unknown>>;

const FIELD = "kv_transfer_params";
const NOT_NULL = (value: unknown): boolean => value !== undefined && value !== null;

/** Reads the field `kv_transfer_params` of a request body. Throws `ApiError` 400 where it is no object. */
export function readKvTransfer(body: Json): KvTransfer {
  const params = body[FIELD] ?? {};
  if (typeof params !== "object" || params === null || Array.isArray(params))
    throw new ApiError(400, `${FIELD} must be an object, got ${JSON.stringify(params)}`, FIELD);
  const given = params as Json;
  const remoteDecode = given["do_remote_decode"] === true;
  if (remoteDecode && body["stream"] === true)
    throw new ApiError(400, "do_remote_decode is not for streamed answers: leave out stream", "stream");
  return { remoteDecode, remotePrefill: given["do_remote_prefill"] === true, holder: readHolder(given) };
}

function readHolder(params: Json): KvTransfer["holder"] {
  const { remote_engine_id: engineId, remote_request_id: requestId, remote_host: host, remote_port: port } = params;
  if (typeof engineId !== "string" || typeof requestId !== "string") return undefined;
  if (typeof host !== "string" || typeof port !== "number") return undefined;
  return { engineId, requestId, host, port };
}

/** Reads `cache_hit_threshold`. Throws `ApiError` 400 where it is no share. */
export function readCacheHitThreshold({ cache_hit_threshold: value }: Json): number | undefined {
  if (!NOT_NULL(value)) return undefined;
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  const message = `cache_hit_threshold must be a number from 0 to 1, got ${JSON.stringify(value)}`;
  throw new ApiError(400, message, "cache_hit_threshold");
}

/** `kv_transfer_params` of the answer of an engine that holds a prompt's blocks: what the decoding engine is to be given. */
export function kvTransferParams({ engineId, requestId, host, port, blockIds }: HeldBlocks): Json {
  return {
    do_remote_prefill: true,
    do_remote_decode: false,
    remote_block_ids: blockIds,
    remote_engine_id: engineId,
    remote_request_id: requestId,
    remote_host: host,
    remote_port: port,
    tp_size: 1,
  };
}

/** Path by which an engine is told that blocks were fetched. */
export const RELEASE_PATH = "/kv_transfer/release";
const RELEASE_TIMEOUT_MS = 2000;

/**
 * Tells the holder of blocks that they were fetched. Resolves with whether it gave them up; a holder that is gone, or that
 * knows nothing of them, is no error.
 */
export function releaseBlocks(holder: NonNullable<KvTransfer["holder"]>, secure: boolean): Promise<boolean> {
  const { host, port, engineId, requestId } = holder;
  const send = secure ? httpsRequest : httpRequest;
  // Certificates of pods are self-signed.
  const tls = secure ? { rejectUnauthorized: false } : {};
  return new Promise((resolve) => {
    const request = send(
      { host, port, path: RELEASE_PATH, method: "POST", timeout: RELEASE_TIMEOUT_MS, ...tls },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      },
    );
    request.once("timeout", () => request.destroy());
    request.once("error", () => resolve(false));
    request.end(JSON.stringify({ engine_id: engineId, request_id: requestId }));
  });
}
