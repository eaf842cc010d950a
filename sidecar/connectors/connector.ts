import type { Api } from "../body/api.ts";
import type { JsonDocument } from "../body/document.ts";
import type { HostPort } from "../wire.ts";

/** A request whose prompt another pod computes. */
export interface Division {
  readonly api: Api;
  /** What the client sent. */
  readonly body: JsonDocument;
  /** Id of both stages. */
  readonly requestId: string;
  readonly prefill: HostPort;
  /** `remote_kv_source`, where cached blocks may be pulled from another pod, as JSON; else undefined. */
  readonly kvSource: Buffer | undefined;
}

/** What a stage is sent. */
export interface StageRequest {
  readonly body: Buffer;
  /** Headers beyond the client's own, names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Decode after prefill, from what prefill answered. */
export interface SequentialConnector {
  readonly order: "sequential";
  prefill(division: Division): StageRequest;
  decode(
    division: Division,
    answer: JsonDocument,
  ): StageRequest & {
    /** Prompt tokens that the prefill pod had cached: what the client is told in place of decode's number. */
    readonly cachedTokens?: number;
    /** Something that is not as it should be, for the log. */
    readonly warning?: string;
  };
}

/** The requests of both stages. */
export interface Stages {
  readonly prefill: StageRequest;
  readonly decode: StageRequest;
}

/** Both stages at once, on terms set before; the client gets the answer of decode. */
export interface ConcurrentConnector {
  readonly order: "concurrent";
  /** Whether the decode pod can compute the prompt itself where prefill fails. */
  readonly decodesAlone: boolean;
  /** May ask the prefill pod for terms; rejects with `RequestError` where it cannot be had. */
  stages(division: Division, signal: AbortSignal): Stages | Promise<Stages>;
  /** Told that a prefill pod did not do its part. */
  failed?(prefill: HostPort): void;
}
