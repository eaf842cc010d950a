import type { RequestApi } from "../request/types.ts";

/** Where answers tell token counts: a JSON member `usage`, a JSON member `meta_info`, vLLM's gRPC messages, or nowhere. */
export type UsageFormat = "usage" | "meta-info" | "vllm-grpc" | "vllm-grpc-embed" | "none";

/** What the protocol side does with requests and answers of an API. */
export interface ApiTraits {
  /** Whether the body names a model that may be replaced; without it the body goes out as it came, and may name none. */
  readonly canRewriteModel: boolean;
  readonly usage: UsageFormat;
  /** Whether the answer needs no processing: the stream is closed once the request is routed. */
  readonly skipsResponse: boolean;
}

const REWRITABLE: ApiTraits = { canRewriteModel: true, usage: "usage", skipsResponse: false };
const FIXED: ApiTraits = { ...REWRITABLE, canRewriteModel: false };

/** Traits by API. */
export const API_TRAITS: Readonly<Record<RequestApi, ApiTraits>> = {
  chat: REWRITABLE,
  completions: REWRITABLE,
  embeddings: REWRITABLE,
  responses: REWRITABLE,
  conversations: REWRITABLE,
  images: REWRITABLE,
  messages: REWRITABLE,
  "count-tokens": { ...FIXED, usage: "none", skipsResponse: true },
  generate: REWRITABLE,
  sglang: { ...FIXED, usage: "meta-info" },
  "vertex-chat": FIXED,
  "vertex-responses": FIXED,
  "vllm-grpc": { ...FIXED, usage: "vllm-grpc" },
  "vllm-grpc-embed": { ...FIXED, usage: "vllm-grpc-embed" },
  "vllm-grpc-other": { ...FIXED, usage: "none", skipsResponse: true },
  raw: { ...FIXED, usage: "none" },
};
