import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWithKubectl } from "./kubectl.ts";
import { routedService } from "./manifests.ts";
import { SERVER } from "../bed-server.ts";
import { type TestPlayground, apply, post, readyUrl, startPlayground } from "./playground.ts";
import { ROOT, run } from "./process.ts";

/** 4 KB of words that differ in their first block from any other seed's. */
const prefix = (seed: string): string => `${seed} `.repeat(Math.ceil(4096 / (seed.length + 1)));

describeWithKubectl("where requests land", () => {
  let playground: TestPlayground;

  beforeAll(async () => {
    playground = await startPlayground();
  }, 120_000);
  afterAll(async () => await playground?.stop(), 60_000);

  const serve = async (name: string, engineArgs: readonly string[] = []): Promise<string> => {
    await apply(playground, routedService(name, { replicas: 3, engineArgs }));
    return await readyUrl(playground, name);
  };
  const podOf = async (url: string, model: string, prompt: string, maxTokens = 2): Promise<string> => {
    const answer = await post(`${url}/v1/completions`, { model, prompt, max_tokens: maxTokens });
    expect(answer.status).toBe(200);
    return answer.headers.get("x-inference-pod") ?? "";
  };

  test("20 requests with one 4 KB prefix stay on one pod while it has room", async () => {
    const url = await serve("sharing");
    const shared = prefix("shared");
    const pods: string[] = [];
    for (let index = 0; index < 20; index++) pods.push(await podOf(url, "sharing", `${shared} question ${index}`));
    expect(new Set(pods).size).toBe(1);
  }, 90_000);

  // A real API server passes nothing on to loopback addresses, which these pods have.
  const testProxied = SERVER === "embedded" ? test : test.skip;

  testProxied(
    "kubectl llmisvc why and top tell where a request went",
    async () => {
      const url = await serve("explained");
      const headers = { "x-request-id": "why-1", "x-llm-d-explain": "true" };
      const answer = await post(`${url}/v1/completions`, { model: "explained", prompt: "why", max_tokens: 1 }, headers);
      expect(answer.status).toBe(200);
      const env = { ...playground.env, PATH: `${ROOT}bin:${process.env.PATH ?? ""}` };
      const plugin = (...args: readonly string[]) => run("kubectl", ["llmisvc", ...args], { env });
      const told = await plugin("why", "why-1", "-n", "default");
      expect(told.stderr).toBe("");
      expect(told.stdout).toContain("request why-1");
      expect(told.stdout).toMatch(new RegExp(`${answer.headers.get("x-inference-pod") ?? "?"}\\S* .*picked`));
      expect((await plugin("why", "why-1", "-n", "default", "-o", "json")).stdout).toContain('"freshness"');
      const unknown = await plugin("why", "nobody", "-n", "default");
      expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('"nobody"')]);
      const table = (await plugin("top", "explained", "-n", "default", "--interval=0.1")).stdout;
      expect(table.trim().split("\n")).toHaveLength(4);
      expect(table).toMatch(/^explained +explained-/m);
    },
    90_000,
  );

  test("requests with one prefix spill to other pods when theirs is saturated", async () => {
    const url = await serve("spilling", [
      "--max-num-seqs=1",
      "--num-gpu-blocks-override=96",
      "--time-to-first-token=50ms",
      "--inter-token-latency=50ms",
    ]);
    const shared = prefix("spill");
    const first = await podOf(url, "spilling", `${shared} first`);
    const burst = Array.from({ length: 20 }, (_, index) => podOf(url, "spilling", `${shared} burst ${index}`, 8));
    const more: Promise<string>[] = [];
    for (let wave = 0; wave < 10; wave++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      more.push(podOf(url, "spilling", `${shared} wave ${wave}`, 8));
    }
    const pods = await Promise.all([...burst, ...more]);
    expect(pods).toContain(first);
    expect(new Set(pods).size).toBeGreaterThan(1);
  }, 90_000);

  test("three idle pods share unrelated load evenly", async () => {
    const url = await serve("even");
    const counts = new Map<string, number>();
    for (let index = 0; index < 90; index++) {
      const pod = await podOf(url, "even", `${prefix(`unrelated${index}`).slice(0, 400)}`, 1);
      counts.set(pod, (counts.get(pod) ?? 0) + 1);
    }
    expect(counts.size).toBe(3);
    for (const count of counts.values()) {
      expect(count).toBeGreaterThanOrEqual(20);
      expect(count).toBeLessThanOrEqual(40);
    }
  }, 90_000);
});
