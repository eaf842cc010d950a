import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWith } from "../cluster/real.ts";
import { routedService } from "../e2e/manifests.ts";
import { type TestPlayground, apply, at, post, readyUrl, startPlayground } from "../e2e/playground.ts";
import { BODY_MODES, type PoolRoute, STYLES, type Style, envoyConfig } from "./config.ts";
import { type Envoy, startEnvoy } from "./envoy.ts";

const NAME = "proxied";
const SCHEDULER = "app.kubernetes.io/component=llminferenceservice-scheduler";
const WORKLOAD = `app.kubernetes.io/name=${NAME},kserve.io/component=workload`;
const STYLE_NAMES = Object.keys(STYLES) as Style[];
const MATRIX = STYLE_NAMES.flatMap((style) => BODY_MODES.map((bodyMode) => ({ style, bodyMode })));
const MIB = 1024 * 1024;

const routeName = (style: Style, bodyMode: string): string => `${style}.${bodyMode}`;

describeWith("a real Envoy", "envoy")("a real Envoy in front of the scheduler", () => {
  let playground: TestPlayground;
  let envoy: Envoy;
  let pods: readonly string[] = [];
  let addresses: readonly string[] = [];
  let schedulerIp = "";

  beforeAll(async () => {
    playground = await startPlayground();
    await apply(playground, routedService(NAME, { replicas: 3, engineArgs: ["--max-model-len=4000000"] }));
    await readyUrl(playground, NAME);
    const workload = await playground.list("pods", "default", WORKLOAD);
    const [scheduler] = await playground.list("pods", "default", SCHEDULER);
    pods = workload.map((pod) => pod.metadata.name);
    addresses = workload.map((pod) => `${String(at(pod, "status.podIP"))}:8000`);
    schedulerIp = String(at(scheduler, "status.podIP"));
    const routes: PoolRoute[] = [
      ...MATRIX.map(({ style, bodyMode }) => ({ name: routeName(style, bodyMode), style, bodyMode })),
      { name: "hinted", style: "override-header", bodyMode: "FULL_DUPLEX_STREAMED", subsetHint: [addresses[1]!] },
    ];
    envoy = await startEnvoy(
      envoyConfig({ picker: `${schedulerIp}:9002`, pickerTls: true, endpoints: addresses }, routes),
    );
  }, 90_000);
  afterAll(async () => {
    await envoy?.close();
    await playground?.stop();
  }, 60_000);

  const url = (style: Style, mode: string): string => envoy.url(routeName(style, mode));
  const complete = (base: string, prompt: string) =>
    post(`${base}/v1/completions`, { model: NAME, prompt, max_tokens: 3 });
  const stream = (base: string, tokens: number) =>
    post(`${base}/v1/chat/completions`, {
      model: NAME,
      messages: [{ role: "user", content: "Hello" }],
      stream: true,
      max_tokens: tokens,
    });

  test.each(MATRIX)("$style, $bodyMode: plain and streamed completions", async ({ style, bodyMode }) => {
    const plain = await complete(url(style, bodyMode), `hello ${style} ${bodyMode}`);
    expect(plain.text).toContain("text_completion");
    expect(plain.status).toBe(200);
    expect(pods).toContain(plain.headers.get("x-inference-pod"));
    const streamed = await stream(url(style, bodyMode), 5);
    expect(streamed.status).toBe(200);
    expect(streamed.text).toMatch(/data: \[DONE\]\s*$/);
  });

  test.each(STYLE_NAMES)("%s follows the pick: one prefix, one pod", async (style) => {
    for (const mode of ["FULL_DUPLEX_STREAMED", "BUFFERED"]) {
      const prefix = `${style} ${mode} `.repeat(200);
      const served = new Set<string | null>();
      for (let index = 0; index < 6; index++)
        served.add((await complete(url(style, mode), `${prefix} ${index}`)).headers.get("x-inference-pod"));
      expect([mode, served.size]).toEqual([mode, 1]);
    }
  });

  test("a subset hint of the proxy binds the pick", async () => {
    for (let index = 0; index < 6; index++) {
      const answer = await complete(envoy.url("hinted"), `anything ${index}`);
      expect(answer.headers.get("x-inference-pod")).toBe(pods[1]);
    }
  });

  test.each(MATRIX)("$style, $bodyMode: a prompt of 5 MB arrives whole", async ({ style, bodyMode }) => {
    const answer = await complete(url(style, bodyMode), "word ".repeat(MIB));
    expect(answer.text).toContain("the limit is");
    expect(answer.status).toBe(400);
  });
});
