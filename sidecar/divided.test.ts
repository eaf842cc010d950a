import { afterEach, expect, test } from "@jest/globals";
import {
  answerJson,
  ask,
  type EngineBehaviour,
  type FakeEngine,
  startEngine,
  startSidecar,
} from "../test/sidecar-bed.ts";
import type { RunningSidecar } from "./run.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function engine(behaviour: EngineBehaviour): Promise<FakeEngine> {
  const made = await startEngine(behaviour);
  closers.push(() => made.close());
  return made;
}

async function sidecar(...args: Parameters<typeof startSidecar>): Promise<RunningSidecar & { readonly port: number }> {
  const made = await startSidecar(...args);
  closers.push(() => made.stop(0));
  return { ...made, port: made.ports[0]! };
}

const KV = { do_remote_prefill: true, remote_engine_id: "e1", remote_block_ids: [1, 2], remote_port: 5600 };
const prefilled: EngineBehaviour = (_seen, response) =>
  answerJson(response, {
    choices: [{ text: "x" }],
    kv_transfer_params: KV,
    usage: { prompt_tokens: 9, prompt_tokens_details: { cached_tokens: 4 } },
  });
const decoded: EngineBehaviour = (_seen, response) =>
  answerJson(response, { choices: [{ text: "hello" }], usage: { prompt_tokens: 9, completion_tokens: 5 } });

const BODY = { model: "m", prompt: 'a "quoted" prompt', max_tokens: 50, stream: false, temperature: 0.5 };
const text = JSON.stringify(BODY);

test("nixlv2: prefill computes one token, decode goes on from its blocks", async () => {
  const [prefill, local] = [await engine(prefilled), await engine(decoded)];
  const { port } = await sidecar(local.port);
  const answer = await ask(port, "/v1/completions?x=1", {
    headers: { "x-prefiller-host-port": prefill.hostPort, "x-request-id": "mine", authorization: "Bearer t" },
    body: text,
  });
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text)).toEqual({
    choices: [{ text: "hello" }],
    usage: { prompt_tokens: 9, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } },
  });
  const [first] = prefill.seen;
  const [second] = local.seen;
  expect(first?.json).toEqual({
    ...BODY,
    max_tokens: 1,
    max_completion_tokens: 1,
    min_tokens: 1,
    stream: false,
    kv_transfer_params: {
      do_remote_decode: true,
      do_remote_prefill: false,
      remote_engine_id: null,
      remote_block_ids: null,
      remote_host: null,
      remote_port: null,
    },
  });
  expect(second?.json).toEqual({ ...BODY, kv_transfer_params: KV });
  for (const seen of [first, second]) {
    expect(seen?.url).toBe("/v1/completions?x=1");
    expect(seen?.headers).toMatchObject({ authorization: "Bearer t", "x-client-request-id": "mine" });
    expect(seen?.headers).not.toHaveProperty("x-prefiller-host-port");
    expect(seen?.rawHeaders.filter((name) => name.toLowerCase() === "x-request-id")).toHaveLength(1);
  }
  expect(first?.headers["x-request-id"]).toBe(second?.headers["x-request-id"]);
  expect(first?.headers["x-request-id"]).not.toBe("mine");
});
