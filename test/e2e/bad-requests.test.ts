import { readFileSync } from "node:fs";
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWithKubectl } from "./kubectl.ts";
import { routedService } from "./manifests.ts";
import { type TestPlayground, apply, at, post, readyUrl, startPlayground } from "./playground.ts";
import { processesWith } from "./process.ts";
import { until } from "../../playground/until.ts";

const NAME = "strict";
const SCHEDULER = "app.kubernetes.io/component=llminferenceservice-scheduler";
const MIB = 1024 * 1024;
/** Rounds of clients that leave, and clients in each. */
const [ROUNDS, LEAVERS] = [5, 100];

describeWithKubectl("requests that are not as they should be", () => {
  let playground: TestPlayground;
  let url = "";
  let schedulerIp = "";

  beforeAll(async () => {
    playground = await startPlayground();
    await apply(playground, routedService(NAME, { replicas: 2, engineArgs: ["--max-model-len=4000000"] }));
    url = await readyUrl(playground, NAME);
    const [scheduler] = await playground.list("pods", "default", SCHEDULER);
    schedulerIp = String(at(scheduler, "status.podIP"));
  }, 120_000);
  afterAll(async () => await playground?.stop(), 60_000);

  const complete = async () => await post(`${url}/v1/completions`, { model: NAME, prompt: "fine", max_tokens: 1 });
  const page = async (): Promise<string> => await playground.metrics(schedulerIp);

  test("a 5 MB prompt is routed, and answered by the pod that it is too long for the model", async () => {
    const prompt = "word ".repeat(MIB);
    const answer = await post(`${url}/v1/completions`, { model: NAME, prompt, max_tokens: 1 });
    expect(answer.headers.get("x-inference-pod")).toMatch(/^strict-kserve-/);
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(/tokens; the limit is \d+/);
  });

  test("a body that is not JSON is refused with 400", async () => {
    const answer = await post(`${url}/v1/completions`, "{not json");
    expect(answer.status).toBe(400);
    expect((await complete()).status).toBe(200);
  });

  test("a request for an unknown model gets the model server's 404", async () => {
    const answer = await post(`${url}/v1/completions`, { model: "nobody", prompt: "x" });
    expect(answer.status).toBe(404);
    expect(answer.text).toContain("nobody");
  });

  test("clients that leave in the middle of their body leave no stream and no memory behind", async () => {
    const rss = (): number => {
      const pids = processesWith(`POD_IP=${schedulerIp}\0`);
      const kib = (pid: number) => /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
      return pids.reduce((sum, pid) => sum + Number(kib(pid)) * 1024, 0);
    };
    const sizes: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await leave(LEAVERS);
      sizes.push(rss());
    }
    await until("no stream is open", async () => {
      const open = /^endpoint_picker_(?:open_streams|streams_active|active_streams)(?:\{[^}]*\})? (\d+)/m.exec(
        await page(),
      );
      return open?.[1] === "0";
    });
    // What is kept grows with every round; what the collector has not freed yet does not.
    const growth = sizes.slice(1).map((size, index) => size - sizes[index]!);
    expect(Math.min(...growth)).toBeLessThan(4 * MIB);
    expect((await complete()).status).toBe(200);
  });

  async function leave(times: number): Promise<void> {
    for (let index = 0; index < times; index++) {
      await new Promise<void>((resolve) => {
        const upload = request(`${url}/v1/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", "content-length": MIB },
        });
        upload.once("error", () => resolve()).once("close", () => resolve());
        upload.write("x".repeat(65_536), () => upload.destroy());
      });
    }
  }
});
