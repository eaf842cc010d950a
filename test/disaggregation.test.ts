import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { parseSidecarFlags } from "../sidecar/config/options.ts";
import { type RunningSidecar, runSidecar } from "../sidecar/run.ts";
import { parseSimulatorFlags } from "../simulator/server/options.ts";
import { type Simulator, startSimulator } from "../simulator/server/server.ts";
import { silentLogger } from "../telemetry/log.ts";

const HOST = "127.0.0.1";

async function startEngine(name: string): Promise<Simulator> {
  const { options } = parseSimulatorFlags(["--model=m", "--port=0", "--inter-token-latency=0ms"], HOST);
  return await startSimulator(options, { name, namespace: "ns" });
}

/** A sidecar by the command line of the presets, but for ports and the pool. */
async function startSidecar(engine: Simulator): Promise<RunningSidecar> {
  const args = ["--kv-connector=nixlv2", `--vllm-port=${engine.port}`, "--secure-proxy=false", "", "", ""];
  const { options, errors } = parseSidecarFlags(args, {}, () => "");
  expect(errors).toEqual([]);
  const settings = { options: { ...options, port: 0 }, env: {}, host: HOST, engineHost: HOST, logger: silentLogger };
  return await runSidecar(settings);
}

describe("the sidecar between two simulated engines", () => {
  let prefill: Simulator;
  let decode: Simulator;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    [prefill, decode] = [await startEngine("p"), await startEngine("d")];
    sidecar = await startSidecar(decode);
  });
  afterAll(async () => {
    await sidecar.stop(0);
    await Promise.all([prefill, decode].map((engine) => engine.close(0)));
  });

  /** Asks for three tokens after a prompt of a hundred; `word` keeps prompts apart. */
  const ask = async (word: string, more: object = {}): Promise<Response> =>
    await fetch(`http://${HOST}:${sidecar.ports[0]}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-prefiller-host-port": `${HOST}:${prefill.port}` },
      body: JSON.stringify({
        model: "m",
        prompt: `${word} `.repeat(100).trim(),
        max_tokens: 3,
        ignore_eos: true,
        ...more,
      }),
    });
  const counters = ({ driver }: Simulator) => {
    const { promptTokens, externalHitTokens, generationTokens } = driver.engine.counters;
    return { promptTokens, externalHitTokens, generationTokens };
  };

  test("one computes the prompt, the other takes its blocks and generates", async () => {
    const answer = await ask("one");
    expect([answer.status, answer.headers.get("x-inference-pod")]).toEqual([200, "d"]);
    expect(await answer.json()).toMatchObject({
      choices: [{ finish_reason: "length" }],
      usage: { prompt_tokens: 100, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 0 } },
    });
    expect(counters(prefill)).toEqual({ promptTokens: 100, externalHitTokens: 0, generationTokens: 1 });
    expect(counters(decode)).toEqual({ promptTokens: 100, externalHitTokens: 99, generationTokens: 3 });
  });

  test("a streamed answer ends as it does without a sidecar", async () => {
    const text = await (await ask("two", { stream: true, stream_options: { include_usage: true } })).text();
    expect(text.match(/^data: /gm)).toHaveLength(5);
    expect(text).toMatch(/"cached_tokens":0.*\n\ndata: \[DONE\]\n\n$/);
    expect(counters(decode)).toEqual({ promptTokens: 200, externalHitTokens: 198, generationTokens: 6 });
  });

  test("where the prefill engine is gone, the other does both", async () => {
    await prefill.close(0);
    expect((await ask("three")).status).toBe(200);
    expect(counters(decode)).toEqual({ promptTokens: 300, externalHitTokens: 198, generationTokens: 9 });
  });
});
