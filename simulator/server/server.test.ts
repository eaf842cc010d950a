import { afterEach, describe, expect, test } from "@jest/globals";
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

async function start(...flags: string[]): Promise<string> {
  const { options, errors } = parseSimulatorFlags(["--model", "m", "--port", "0", ...flags], "127.0.0.1");
  expect(errors).toEqual([]);
  const simulator = await startSimulator(options, { name: "pod-1", namespace: "ns" }, { clock: instantClock });
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
    const { errors } = parseSimulatorFlags(["--port", "x", "--startup-duration", "soon"], "127.0.0.1");
    expect(errors).toHaveLength(3);
  });
});
