import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterEach, describe, expect, test } from "@jest/globals";
import { selfSignedCertificate } from "../../kube/certificates.ts";
import { until } from "../../playground/until.ts";
import type { Clock } from "./driver.ts";
import { parseSimulatorFlags } from "./options.ts";
import { type Simulator, startSimulator } from "./server.ts";

const running: Simulator[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.close(0)));
});

/** Steps take no wall time, so that tests wait for nothing. */
const instantClock = {
  now: () => performance.now(),
  after: (_delayMs: number, run: () => void) => void setImmediate(run),
};

const start = (...flags: string[]): Promise<string> => startWith(instantClock, ...flags);

async function startWith(clock: Clock, ...flags: string[]): Promise<string> {
  const { options, errors } = parseSimulatorFlags(["--model", "m", "--port", "0", ...flags], "127.0.0.1");
  expect(errors).toEqual([]);
  const simulator = await startSimulator(options, { name: "pod-1", namespace: "ns" }, { clock });
  running.push(simulator);
  return `http://127.0.0.1:${simulator.port}`;
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), headers });

describe("completions", () => {
  test("a chat is answered with usage and the pod's name", async () => {
    const url = await start();
    const answer = await post(`${url}/v1/chat/completions`, {
      model: "m",
      messages: [{ role: "user", content: "hello there" }],
      max_tokens: 4,
      ignore_eos: true,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-inference-pod")).toBe("pod-1");
    expect(await answer.json()).toMatchObject({
      object: "chat.completion",
      model: "m",
      choices: [{ index: 0, message: { role: "assistant" }, finish_reason: "length" }],
      usage: { prompt_tokens: 6, completion_tokens: 4, total_tokens: 10 },
    });
  });

  test("a streamed chat sends one event for each token, then usage when asked, then the end", async () => {
    const url = await start("--mode", "echo");
    const answer = await post(`${url}/v1/chat/completions`, {
      model: "m",
      messages: [{ role: "user", content: "one two three" }],
      stream: true,
      stream_options: { include_usage: true },
    });
    const events = (await answer.text())
      .trim()
      .split("\n\n")
      .map((line) => line.replace(/^data: /, ""));
    expect(events.at(-1)).toBe("[DONE]");
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event));
    expect(
      chunks
        .slice(0, 3)
        .map((chunk) => chunk.choices[0].delta.content)
        .join(""),
    ).toBe("one two three");
    expect(chunks[2].choices[0].finish_reason).toBe("stop");
    expect(chunks[3]).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
  });

  test("each prompt of a list gets a choice of its own", async () => {
    const url = await start("--mode", "echo");
    const answer = await post(`${url}/v1/completions`, { model: "m", prompt: ["a b", "c"] });
    expect(((await answer.json()) as { choices: unknown }).choices).toMatchObject([
      { index: 0, text: "a b" },
      { index: 1, text: "c" },
    ]);
  });

  test.each([
    ["an unknown model", { model: "x", prompt: "a" }, 404, "does not exist"],
    ["an empty prompt", { model: "m", prompt: "" }, 400, "prompt must not be empty"],
    ["a body that is no JSON", "{", 400, "body is not JSON"],
    ["a prompt beyond the context", { model: "m", prompt: "a ".repeat(40) }, 400, "the limit is 32"],
    ["a limit that is no count", { model: "m", prompt: "a", max_tokens: 0 }, 400, "positive integer"],
  ])("%s is refused", async (_name, body, status, message) => {
    const url = await start("--max-model-len", "32");
    const answer = await post(`${url}/v1/completions`, body);
    expect(answer.status).toBe(status);
    expect(((await answer.json()) as { error: { message: string } }).error.message).toContain(message);
  });

  test("a failure can be asked for", async () => {
    const url = await start();
    expect((await post(`${url}/v1/completions`, { model: "m", prompt: "a" }, { "x-return-error": "503" })).status).toBe(
      503,
    );
  });
});

describe("prefill and decode apart", () => {
  const prompt = "word ".repeat(100);
  const REMOTE = {
    do_remote_decode: true,
    do_remote_prefill: false,
    remote_engine_id: null,
    remote_block_ids: null,
    remote_host: null,
    remote_port: null,
  };
  const complete = async (url: string, more: object) => {
    const answer = await post(`${url}/v1/completions`, {
      model: "m",
      prompt,
      max_tokens: 3,
      ignore_eos: true,
      ...more,
    });
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  };
  const metric = async (url: string, name: string): Promise<number> => {
    const page = await (await fetch(`${url}/metrics`)).text();
    return Number(
      page
        .split("\n")
        .find((line) => line.startsWith(`vllm:${name}`))
        ?.split(" ")
        .at(-1),
    );
  };

  test("prefill gives one token and holds its blocks; decode takes them, and they are released", async () => {
    const [prefill, decode] = [await start(), await start()];
    const first = await complete(prefill, { kv_transfer_params: REMOTE });
    expect(first.body).toMatchObject({
      choices: [{ finish_reason: "remote_decode" }],
      usage: { prompt_tokens: 101, completion_tokens: 1 },
      kv_transfer_params: {
        do_remote_prefill: true,
        do_remote_decode: false,
        remote_block_ids: [1, 2, 3, 4, 5, 6, 7],
        remote_host: "127.0.0.1",
        remote_port: Number(new URL(prefill).port),
        tp_size: 1,
      },
    });
    expect(await metric(prefill, "kv_cache_usage_perc")).toBeGreaterThan(0);
    const second = await complete(decode, { kv_transfer_params: first.body.kv_transfer_params });
    expect(second.body.usage).toEqual({
      prompt_tokens: 101,
      completion_tokens: 3,
      total_tokens: 104,
      prompt_tokens_details: { cached_tokens: 100 },
    });
    expect(second.body.kv_transfer_params).toBeUndefined();
    expect(await metric(decode, "external_prefix_cache_hits_total")).toBe(100);
    expect(await metric(decode, 'prompt_tokens_by_source_total{engine="0",model_name="m",source="local_compute"')).toBe(
      1,
    );
    await until("blocks released", async () => (await metric(prefill, "kv_cache_usage_perc")) === 0);
    expect(
      await metric(prefill, 'request_success_total{engine="0",model_name="m",finished_reason="remote_decode"'),
    ).toBe(1);
  });

  test("blocks that nobody fetches are given up in time", async () => {
    let now = 0;
    const clock = { now: () => now, after: instantClock.after };
    const url = await startWith(clock);
    await complete(url, { kv_transfer_params: REMOTE });
    now = 479_999;
    expect(await metric(url, "kv_cache_usage_perc")).toBeGreaterThan(0);
    now = 480_000;
    expect(await metric(url, "kv_cache_usage_perc")).toBe(0);
  });

  test("parameters of an engine that holds nothing are taken as well, those of a former run release nothing", async () => {
    const url = await start();
    const kv_transfer_params = { do_remote_prefill: true, remote_block_ids: ["DUMMY_ID"], remote_host: "DUMMY" };
    expect((await complete(url, { kv_transfer_params })).status).toBe(200);
    expect((await post(`${url}/kv_transfer/release`, { engine_id: "other", request_id: "1.0" })).status).toBe(404);
  });

  test("the first token takes the stated transfer, by constant or by tokens", async () => {
    const timed = async (...flags: string[]): Promise<number> => {
      const delays: number[] = [];
      const after = (delayMs: number, run: () => void) => {
        delays.push(delayMs);
        setImmediate(run);
      };
      const latencies = ["--time-to-first-token=5s", "--inter-token-latency=7ms"];
      const url = await startWith({ now: () => 0, after }, ...latencies, ...flags);
      await complete(url, { max_tokens: 1, kv_transfer_params: { do_remote_prefill: true } });
      return Math.max(...delays);
    };
    expect(await timed("--kv-cache-transfer-latency=40ms")).toBe(40);
    expect(await timed("--kv-cache-transfer-time-per-token=2ms")).toBe(202);
    expect(await timed()).toBe(0);
  });

  test.each([
    ["a streamed prefill", { kv_transfer_params: REMOTE, stream: true }, "stream"],
    ["parameters that are no object", { kv_transfer_params: [1] }, "kv_transfer_params"],
    ["a threshold that is no share", { cache_hit_threshold: 2 }, "cache_hit_threshold"],
  ])("%s is refused", async (_name, more, param) => {
    const { status, body } = await complete(await start(), more);
    expect([status, body.error.param]).toEqual([400, param]);
  });

  test("too little in the cache ends a request before it costs anything, streamed or not", async () => {
    const url = await start("--global-cache-hit-threshold=0.5");
    const cold = await complete(url, {});
    expect(cold.body).toMatchObject({
      choices: [{ text: "", finish_reason: "cache_threshold" }],
      usage: { completion_tokens: 0 },
    });
    expect((await complete(url, { cache_hit_threshold: 0 })).body.choices[0].finish_reason).toBe("length");
    expect((await complete(url, {})).body.choices[0].finish_reason).toBe("length");
    const asked = { "x-cache-threshold-finish-reason": "true" };
    const streamed = await post(`${url}/v1/completions`, { model: "m", prompt, stream: true }, asked);
    expect(await streamed.text()).toContain('"finish_reason":"cache_threshold"');
    expect(await metric(url, "prompt_tokens_total")).toBe(202);
  });

  test("fields of SGLang's bootstrap are no obstacle", async () => {
    const more = { bootstrap_host: "10.0.0.1", bootstrap_port: 8998, bootstrap_room: 7 };
    expect((await complete(await start(), more)).status).toBe(200);
  });
});

test("the metrics page shows prefix hits, finished requests and the cache's size", async () => {
  const url = await start("--block-size", "16", "--num-gpu-blocks-override", "500");
  const prompt = "word ".repeat(64);
  for (let count = 0; count < 2; count++)
    await (await post(`${url}/v1/completions`, { model: "m", prompt, max_tokens: 2, ignore_eos: true })).text();
  const page = await (await fetch(`${url}/metrics`)).text();
  expect(page).toContain('vllm:num_requests_running{engine="0",model_name="m"} 0.0');
  expect(page).toContain('vllm:prefix_cache_hits_total{engine="0",model_name="m"} 64.0');
  expect(page).toContain('vllm:request_success_total{engine="0",model_name="m",finished_reason="length"} 2.0');
  expect(page).toMatch(/vllm:cache_config_info\{block_size="16",.*num_gpu_blocks="500"\} 1.0/);
});

test("adapters are listed, served, and unloaded", async () => {
  const url = await start("--lora-modules", '{"name":"adapter-1","path":"/a"}');
  expect((await post(`${url}/v1/completions`, { model: "adapter-1", prompt: "a" })).status).toBe(200);
  expect(await (await fetch(`${url}/metrics`)).text()).toContain('vllm:lora_requests_info{max_lora="1"');
  await post(`${url}/v1/unload_lora_adapter`, { lora_name: "adapter-1" });
  const models = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  expect(models.data.map((model) => model.id)).toEqual(["m"]);
});

test("a certificate that is replaced is that of new connections", async () => {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-simulator-"));
  const [cert, key] = [join(folder, "tls.crt"), join(folder, "tls.key")];
  const write = (): string => {
    const pair = selfSignedCertificate(new Date());
    writeFileSync(cert, pair.certificate);
    writeFileSync(key, pair.privateKey);
    return new X509Certificate(pair.certificate).fingerprint256;
  };
  const served = (port: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: Number(port), rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().fingerprint256);
        socket.destroy();
      });
      socket.once("error", reject);
    });
  const first = write();
  const { port } = new URL(await start(`--ssl-certfile=${cert}`, `--ssl-keyfile=${key}`, "--enable-ssl-refresh"));
  expect(await served(port)).toBe(first);
  const second = write();
  await until("the new certificate", async () => (await served(port)) === second, { pollMs: 10 });
  rmSync(folder, { recursive: true });
});

describe("flags", () => {
  test("those of vllm serve are read, unknown ones are accepted with a warning", () => {
    const { options, warnings, errors } = parseSimulatorFlags(
      [
        "serve",
        "facebook/opt-125m",
        "--served-model-name",
        "a",
        "b",
        "--port=8001",
        "",
        "--enable_lora",
        "--no-enable-prefix-caching",
        "--kv-transfer-config",
        "{}",
      ],
      "127.0.0.1",
    );
    expect(errors).toEqual([]);
    expect(options).toMatchObject({
      model: "facebook/opt-125m",
      servedModelNames: ["a", "b"],
      port: 8001,
      enablePrefixCaching: false,
    });
    expect(warnings).toEqual(["--enable-lora has no effect here", "--kv-transfer-config has no effect here"]);
  });

  test("all errors are told at once", () => {
    const { errors } = parseSimulatorFlags(
      ["--port", "x", "--startup-duration", "soon", "--global-cache-hit-threshold=2"],
      "127.0.0.1",
    );
    expect(errors).toHaveLength(4);
  });
});
