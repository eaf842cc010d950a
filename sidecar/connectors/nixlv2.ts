import { singleToken } from "../body/api.ts";
import { readCachedTokens } from "../body/cached-tokens.ts";
import { jsonObject } from "../body/document.ts";
import type { SequentialConnector } from "./connector.ts";

/** What prefill is asked: to compute the blocks and keep them for whoever comes with the parameters that it answers. */
const REMOTE_DECODE = {
  do_remote_decode: "true",
  do_remote_prefill: "false",
  remote_engine_id: "null",
  remote_block_ids: "null",
  remote_host: "null",
  remote_port: "null",
};

/** vLLM's NixlConnector: prefill answers `kv_transfer_params`, by which decode pulls the blocks. */
export const nixlv2: SequentialConnector = {
  order: "sequential",
  prefill: ({ body, api, kvSource }) => ({
    body: body.with({
      ...singleToken(body, api, "all"),
      kv_transfer_params: jsonObject({ ...REMOTE_DECODE, ...(kvSource && { remote_kv_source: kvSource }) }),
    }),
  }),
  decode: ({ body, api }, answer) => {
    const parameters = answer.raw("kv_transfer_params");
    return {
      body: body.with({ kv_transfer_params: parameters ?? "null" }),
      cachedTokens: readCachedTokens(answer, api) ?? 0,
      ...(parameters === undefined && { warning: "prefill answered without kv_transfer_params" }),
    };
  },
};
