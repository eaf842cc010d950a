import { get as httpGet } from "node:http";
import { get as httpsGet } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { sharedPath } from "../corpus.ts";
import { listenOnLoopback } from "../loopback.ts";
import { until } from "../../playground/until.ts";
import { describeWithKubectl } from "./kubectl.ts";
import { type KubeJson, type TestPlayground, at, post, readyUrl, startPlayground } from "./playground.ts";
import { killPod } from "./pod-processes.ts";
import { ROOT } from "./process.ts";

const PUBLISHED =
  "corpus/manifests/kserve/samples/v0.20.0/opt-125m-cpu/llm-inference-service-pd-facebook-opt-125m-cpu.yaml";
const OURS = join(ROOT, "samples/prefill-decode/qwen2.5-7b.yaml");
/** Where the routing sidecar of decode pods, and the model server of prefill pods listen. */
const PORT = 8000;

/** A prompt of that many tokens that shares no block with another seed's. */
const prompt = (seed: string, tokens: number): string => `${seed} `.repeat(tokens).trim();

/** A page of a pod, whose certificate is its own. */
function readPage(url: string): Promise<string> {
  const get = url.startsWith("https:") ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const request = get(url, { rejectUnauthorized: false }, (answer) => resolve(text(answer)));
    request.once("error", reject);
  });
}

/** What pods did with prompts. */
interface Account {
  /** Prompt tokens, by where their KV blocks came from. */
  readonly computed: number;
  readonly transferred: number;
  /** Prompts that were computed for another pod. */
  readonly givenAway: number;
  /** KV-cache usage. */
  readonly blocks: number;
}

describeWithKubectl("prefill and decode on pods of their own", () => {
  let playground: TestPlayground;
  let scheme = "http";

  beforeAll(async () => {
    playground = await startPlayground();
  }, 120_000);
  afterAll(async () => await playground?.stop(), 60_000);

  const urlOf = (pod: KubeJson): string => `${scheme}://${String(at(pod, "status.podIP"))}:${PORT}`;
  const podsOf = async (service: string, role: "prefill" | "decode"): Promise<KubeJson[]> =>
    await playground.list("pods", "default", `app.kubernetes.io/name=${service},llm-d.ai/role=${role}`);

  const account = async (pods: readonly KubeJson[]): Promise<Account> => {
    const pages = await Promise.all(pods.map(async (pod) => readPage(`${urlOf(pod)}/metrics`)));
    const sum = (metric: string): number =>
      pages
        .flatMap((page) => page.split("\n").filter((line) => line.startsWith("vllm:") && line.includes(metric)))
        .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
    return {
      computed: sum('source="local_compute"'),
      transferred: sum('source="external_kv_transfer"'),
      givenAway: sum('finished_reason="remote_decode"'),
      blocks: sum("vllm:kv_cache_usage_perc"),
    };
  };
  const complete = async (url: string, model: string, text: string, more: object = {}, headers = {}) =>
    await post(`${url}/v1/completions`, { model, prompt: text, max_tokens: 4, ignore_eos: true, ...more }, headers);

  test("KServe's sample is Ready, and its prefill pod computes prompts for its decode pod", async () => {
    const name = "facebook-opt-125m-pd";
    const model = "facebook/opt-125m";
    await playground.kubectl("apply", "-f", sharedPath(PUBLISHED));
    const url = await readyUrl(playground, name);
    const [prefill, decode] = [await podsOf(name, "prefill"), await podsOf(name, "decode")];
    expect([prefill.length, decode.length]).toEqual([1, 1]);

    const answer = await complete(url, model, prompt("first", 400));
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-inference-pod")).toBe(decode[0]?.metadata.name);
    expect(JSON.parse(answer.text)).toMatchObject({
      choices: [{ finish_reason: "length" }],
      usage: { prompt_tokens: 400, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 0 } },
    });
    expect(await account(prefill)).toMatchObject({ computed: 400, transferred: 0, givenAway: 1 });
    expect(await account(decode)).toMatchObject({ computed: 1, transferred: 399, givenAway: 0 });
    await until("the prefill pod gave up its blocks", async () => (await account(prefill)).blocks === 0);

    const streamed = await complete(url, model, prompt("second", 300), {
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(streamed.headers.get("content-type")).toContain("text/event-stream");
    expect(streamed.text.match(/^data: /gm)).toHaveLength(6);
    expect(streamed.text).toMatch(/"usage":.*\n\ndata: \[DONE\]\n\n$/);
    expect(await account(prefill)).toMatchObject({ computed: 700, givenAway: 2 });
    expect(await account(decode)).toMatchObject({ computed: 2, transferred: 698 });

    let strangers = 0;
    const stranger = await listenOnLoopback((_request, response) => {
      strangers++;
      response.end("{}");
    });
    const forged = { "x-prefiller-host-port": new URL(stranger.url).host };
    expect((await complete(url, model, prompt("third", 300), {}, forged)).status).toBe(200);
    const refused = await post(`${urlOf(decode[0]!)}/v1/completions`, { model, prompt: "fourth" }, forged);
    await stranger.close();
    expect([refused.status, strangers]).toEqual([403, 0]);
    expect(await account(prefill)).toMatchObject({ computed: 1000, givenAway: 3 });
    await playground.kubectl("delete", "-f", sharedPath(PUBLISHED), "--wait=false");
  }, 120_000);

  test("our sample by TLS: short prompts stay on the decode pod, long ones do without a prefill pod that is gone", async () => {
    const configuration = await playground.get("configmap", "inferenceservice-config", "kserve");
    const ingress = { ...JSON.parse(String(at(configuration, "data.ingress"))), enableLLMInferenceServiceTLS: true };
    const patch = JSON.stringify({ data: { ingress: JSON.stringify(ingress) } });
    await playground.kubectl(
      "patch",
      "configmap",
      "inferenceservice-config",
      "-n",
      "kserve",
      "--type=merge",
      "-p",
      patch,
    );
    scheme = "https";
    const name = "qwen-pd";
    const model = "Qwen/Qwen2.5-7B-Instruct";
    await playground.kubectl("apply", "-f", OURS);
    const url = await readyUrl(playground, name);
    const [prefill, decode] = [await podsOf(name, "prefill"), await podsOf(name, "decode")];
    expect([prefill.length, decode.length]).toEqual([2, 1]);

    // The certificate is made anew when pods have their addresses, and reaches each in its own time.
    let tries = 0;
    await until("prefill by TLS", async () => {
      await complete(url, model, prompt(`try${tries++}`, 1000));
      return (await account(prefill)).givenAway > 0;
    });
    /** What a prompt brings to the prefill pods and to the decode pod. */
    const bring = async (text: string): Promise<readonly Partial<Account>[]> => {
      const before = [await account(prefill), await account(decode)];
      expect((await complete(url, model, text)).status).toBe(200);
      const after = [await account(prefill), await account(decode)];
      return after.map((now, index) => ({
        computed: now.computed - before[index]!.computed,
        transferred: now.transferred - before[index]!.transferred,
        givenAway: now.givenAway - before[index]!.givenAway,
      }));
    };
    const nothing = { computed: 0, transferred: 0, givenAway: 0 };
    expect(await bring(prompt("short", 100))).toEqual([nothing, { ...nothing, computed: 100 }]);
    expect(await bring(prompt("long", 1000))).toEqual([
      { computed: 1000, transferred: 0, givenAway: 1 },
      { computed: 1, transferred: 999, givenAway: 0 },
    ]);
    const before = await account(decode);
    for (const pod of prefill) killPod(pod);
    expect((await complete(url, model, prompt("alone", 1000))).status).toBe(200);
    expect(await account(decode)).toMatchObject({
      computed: before.computed + 1000,
      transferred: before.transferred,
    });
  }, 120_000);
});
