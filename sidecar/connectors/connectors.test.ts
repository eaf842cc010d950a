import { describe, expect, test } from "@jest/globals";
import type { Api } from "../body/api.ts";
import { JsonDocument } from "../body/document.ts";
import type { Division, StageRequest } from "./connector.ts";
import { mooncakeStages, readEngines } from "./mooncake.ts";
import { nixlv2 } from "./nixlv2.ts";
import { createOffloading, p2pPeer, p2pPort } from "./p2p.ts";
import { createSglang } from "./sglang.ts";
import { decodesFirst, lmcache, missedThreshold, sharedStorage } from "./shared-storage.ts";

const document = (value: unknown): JsonDocument => new JsonDocument(Buffer.from(JSON.stringify(value)));
const json = ({ body }: StageRequest): unknown => JSON.parse(body.toString());

function division(body: unknown, api: Api = "chat", more: Partial<Division> = {}): Division {
  const prefill = { host: "10.0.0.9", port: 8000 };
  return { api, body: document(body), requestId: "u", prefill, kvSource: undefined, ...more };
}

const REMOTE_DECODE = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_block_ids: null,
  remote_host: null,
  remote_port: null,
};
const STREAM = { stream: true, stream_options: { include_usage: true } };

describe("nixlv2", () => {
  test.each<[Api, unknown, unknown]>([
    ["chat", { model: "m", ...STREAM }, { model: "m", max_tokens: 1, max_completion_tokens: 1, min_tokens: 1 }],
    ["completions", { max_tokens: 9, min_tokens: 4 }, { max_tokens: 1, max_completion_tokens: 1, min_tokens: 1 }],
    ["messages", { max_tokens: 9 }, { max_tokens: 1 }],
    ["responses", { max_output_tokens: 9, ...STREAM }, { max_output_tokens: 1 }],
    ["generate", { token_ids: [1] }, { token_ids: [1], sampling_params: { max_tokens: 1, min_tokens: 1 } }],
    [
      "generate",
      { sampling_params: { temperature: 0.5, max_tokens: 9 } },
      { sampling_params: { temperature: 0.5, max_tokens: 1, min_tokens: 1 } },
    ],
  ])("prefill of %s: %j", (api, sent, expected) => {
    expect(json(nixlv2.prefill(division(sent, api)))).toEqual({
      ...(expected as object),
      stream: false,
      kv_transfer_params: REMOTE_DECODE,
    });
  });

  test("prefill may pull cached blocks", () => {
    const peer = p2pPeer({ host: "10.0.0.3", port: 8000 }, "v", {
      p2pConnectorPort: 7777,
      port: 8000,
      dataParallelSize: 1,
    });
    expect(json(nixlv2.prefill(division({}, "chat", { kvSource: peer })))).toMatchObject({
      kv_transfer_params: {
        ...REMOTE_DECODE,
        remote_kv_source: { kv_request_id: "v", remote_host: "10.0.0.3", remote_port: 7777 },
      },
    });
  });

  test("decode gets the client's request and the parameters to the letter", () => {
    const sent = { model: "m", max_tokens: 9, ...STREAM, kv_transfer_params: { forged: true } };
    const answer = new JsonDocument(
      Buffer.from(
        '{"kv_transfer_params":{"remote_engine_id":"e","n":12345678901234567890},"usage":{"prompt_tokens_details":{"cached_tokens":3}}}',
      ),
    );
    const stage = nixlv2.decode(division(sent), answer);
    expect(stage.body.toString()).toContain('"kv_transfer_params":{"remote_engine_id":"e","n":12345678901234567890}');
    expect(json(stage)).toMatchObject({ model: "m", max_tokens: 9, ...STREAM });
    expect([stage.cachedTokens, stage.warning]).toEqual([3, undefined]);
  });

  test("prefill without parameters is told", () => {
    const stage = nixlv2.decode(division({ a: 1 }), document({}));
    expect(json(stage)).toEqual({ a: 1, kv_transfer_params: null });
    expect([stage.cachedTokens, stage.warning]).toEqual([0, "prefill answered without kv_transfer_params"]);
  });
});

describe("storage", () => {
  test("shared: neither stage refuses for a cold cache", () => {
    const sent = division({ cache_hit_threshold: 0.8, ...STREAM });
    expect(json(sharedStorage.prefill(sent))).toEqual({
      cache_hit_threshold: 0,
      max_tokens: 1,
      max_completion_tokens: 1,
      stream: false,
    });
    expect(json(sharedStorage.decode(sent, document({})))).toEqual({ cache_hit_threshold: 0, ...STREAM });
    expect([decodesFirst(sent.body), decodesFirst(document({}))]).toEqual([true, false]);
  });

  test("LMCache: decode gets what the client sent", () => {
    const sent = division({ prompt: "p", ...STREAM }, "completions");
    expect(json(lmcache.prefill(sent))).toEqual({
      prompt: "p",
      max_tokens: 1,
      max_completion_tokens: 1,
      stream: false,
    });
    expect(lmcache.decode(sent, document({})).body).toBe(sent.body.bytes);
  });

  test.each([
    [{ choices: [{ finish_reason: "cache_threshold" }] }, true],
    [{ choices: [{ finish_reason: "stop", text: "cache_threshold" }] }, false],
    [{ choices: [] }, false],
    [{}, false],
  ])("%j: too little cached %s", (answer, expected) => {
    expect(missedThreshold(Buffer.from(JSON.stringify(answer)))).toBe(expected);
  });
});

test("SGLang: both get the same, with a room of their own", async () => {
  const connector = createSglang(8998, { now: () => 1_700_000_000_123, random: () => 0.5 });
  const { prefill, decode } = await connector.stages(division({ model: "m" }), new AbortController().signal);
  expect(prefill.body.toString()).toBe(
    '{"model":"m","bootstrap_host":"10.0.0.9","bootstrap_port":8998,"bootstrap_room":1700000000123000500}',
  );
  expect(decode.body).toBe(prefill.body);
});

test("Mooncake: both know the transfer, decode its engine too", () => {
  const { prefill, decode } = mooncakeStages(
    division({ max_completion_tokens: 9, ...STREAM }),
    { rank: "1", id: "e1" },
    8998,
  );
  expect(json(prefill)).toEqual({
    max_completion_tokens: 1,
    max_tokens: 1,
    stream: false,
    kv_transfer_params: { do_remote_prefill: false, do_remote_decode: true, transfer_id: "xfer-u" },
  });
  expect(prefill.headers).toEqual({ "x-data-parallel-rank": "1" });
  expect(json(decode)).toEqual({
    max_completion_tokens: 9,
    ...STREAM,
    kv_transfer_params: {
      do_remote_prefill: true,
      do_remote_decode: false,
      transfer_id: "xfer-u",
      remote_bootstrap_addr: "http://10.0.0.9:8998",
      remote_engine_id: "e1",
    },
  });
  expect(readEngines({ 0: { engine_id: "a" }, 1: {}, 2: null })).toEqual([{ rank: "0", id: "a" }]);
});

describe("offloading", () => {
  const settings = { p2pConnectorPort: 7777, port: 8000, dataParallelSize: 2 };

  test("prefill stores under an id, decode pulls by it", () => {
    const offloading = createOffloading(settings);
    const sent = division({ ...STREAM }, "chat", { prefill: { host: "fd00::1", port: 8001 } });
    expect(json(offloading.prefill(sent))).toEqual({
      max_tokens: 1,
      stream: false,
      kv_transfer_params: { remote_decoder: { kv_request_id: "u" } },
    });
    expect(json(offloading.decode(sent, document({})))).toEqual({
      ...STREAM,
      kv_transfer_params: { remote_prefiller: { kv_request_id: "u", remote_host: "fd00::1", remote_port: 7778 } },
    });
  });

  test.each([
    [8000, 7777],
    [8001, 7778],
    [8002, 7777],
    [7999, 7777],
  ])("the rank of port %i is pulled from port %i", (port, expected) => {
    expect(p2pPort({ host: "h", port }, settings)).toBe(expected);
  });
});
