import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWithKubectl } from "./kubectl.ts";
import { routedService } from "./manifests.ts";
import { type KubeJson, type TestPlayground, apply, at, post, readyUrl, startPlayground } from "./playground.ts";
import { killPod } from "./pod-processes.ts";
import { until } from "../../playground/until.ts";

const NAME = "sturdy";
const SCHEDULER = "app.kubernetes.io/component=llminferenceservice-scheduler";
const OPERATOR = "control-plane=llmisvc-controller-manager";
const WORKLOAD = `app.kubernetes.io/name=${NAME},kserve.io/component=workload`;

describeWithKubectl("what breaks, and what it costs", () => {
  let playground: TestPlayground;
  let url = "";

  beforeAll(async () => {
    playground = await startPlayground();
    const engineArgs = ["--inter-token-latency=50ms"];
    await apply(playground, routedService(NAME, { replicas: 2, engineArgs }));
    url = await readyUrl(playground, NAME);
  }, 120_000);
  afterAll(async () => await playground?.stop(), 60_000);

  const complete = async (maxTokens = 1) =>
    await post(`${url}/v1/completions`, { model: NAME, prompt: `go ${performance.now()}`, max_tokens: maxTokens });
  const restarts = (pod: KubeJson): number => Number(at(pod, "status.containerStatuses.0.restartCount"));
  const podNamed = (name: string, namespace?: string) => playground.get("pod", name, namespace);
  const restarted = async (pod: KubeJson, namespace?: string): Promise<void> => {
    await until(
      `${pod.metadata.name} restarted and ready`,
      async () => {
        const now = await podNamed(pod.metadata.name, namespace);
        return restarts(now) > restarts(pod) && at(now, "status.containerStatuses.0.ready") === true;
      },
      { timeoutMs: 60_000 },
    );
  };

  test("a pod's process killed mid-stream costs that request alone, and the pod comes back", async () => {
    const response = await fetch(`${url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: NAME, prompt: "long", max_tokens: 400, stream: true }),
    });
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    await reader.read();
    const victim = await podNamed(response.headers.get("x-inference-pod") ?? "");
    killPod(victim);
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow();
    for (let index = 0; index < 10; index++) {
      const answer = await until("an answer from the other pod", async () => {
        const next = await complete();
        return next.status === 200 ? next : undefined;
      });
      expect(answer.headers.get("x-inference-pod")).not.toBe("");
    }
    await restarted(victim);
  }, 120_000);

  test("requests succeed without the scheduler, and picks resume when it is back", async () => {
    const [scheduler] = await playground.list("pods", "default", SCHEDULER);
    killPod(scheduler!);
    for (let index = 0; index < 10; index++) expect((await complete()).status).toBe(200);
    await restarted(scheduler!);
    await until("a pick of the restarted scheduler", async () => {
      expect((await complete()).status).toBe(200);
      const page = await playground.metrics(String(at(scheduler, "status.podIP")));
      return /^endpoint_picker_\S*total\S* [1-9]/m.test(page);
    });
  }, 120_000);

  test("nothing stops serving without the operator, and it resumes without a write", async () => {
    const [operator] = await playground.list("pods", "kserve", OPERATOR);
    const versions = async () => {
      const kinds =
        "llminferenceservices,deployments,services,serviceaccounts,roles,rolebindings,inferencepools,httproutes,secrets";
      const text = await playground.kubectl("get", kinds, "-n", "default", "-o", "json");
      const items = (JSON.parse(text) as { items: KubeJson[] }).items;
      return Object.fromEntries(
        items.map((item) => [`${item.kind}/${item.metadata.name}`, item.metadata.resourceVersion]),
      );
    };
    const before = await versions();
    killPod(operator!);
    for (let index = 0; index < 5; index++) expect((await complete()).status).toBe(200);
    await restarted(operator!, "kserve");
    await playground.kubectl("annotate", "llmisvc", NAME, "test/resumed=yes");
    await playground.kubectl("scale", `llmisvc/${NAME}`, "--replicas=3");
    await until("three pods", async () => (await playground.list("pods", "default", WORKLOAD)).length === 3);
    const after = await versions();
    const changed = Object.keys(after).filter((key) => after[key] !== before[key]);
    expect(changed.sort()).toEqual([`Deployment/${NAME}-kserve`, `LLMInferenceService/${NAME}`]);
  }, 120_000);
});
