import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWithKubectl } from "./kubectl.ts";
import { type TestPlayground, at, post, readyUrl, startPlayground } from "./playground.ts";
import { ROOT, run } from "./process.ts";
import { until } from "../../playground/until.ts";

const SCHEDULER = "app.kubernetes.io/component=llminferenceservice-scheduler";
const NAME = "quickstart";

describeWithKubectl("the way of a user with kubectl", () => {
  let playground: TestPlayground;
  let url = "";

  beforeAll(async () => {
    playground = await startPlayground();
  }, 120_000);
  afterAll(async () => await playground?.stop(), 60_000);

  const schedulerIp = async (): Promise<string> => {
    const [pod] = await playground.list("pods", "default", SCHEDULER);
    return String(at(pod, "status.podIP"));
  };
  const picks = async (): Promise<number> => {
    const page = await playground.metrics(await schedulerIp());
    const lines = page.split("\n").filter((line) => line.startsWith("endpoint_picker_") && line.includes("pick"));
    return Math.max(
      0,
      ...lines.filter((line) => /_total[{ ]/.test(line)).map((line) => Number(line.split(" ").at(-1))),
    );
  };
  const completion = async (prompt: string): Promise<string> => {
    const answer = await post(`${url}/v1/completions`, { model: "facebook/opt-125m", prompt, max_tokens: 4 });
    expect(answer.status).toBe(200);
    return answer.headers.get("x-inference-pod") ?? "";
  };

  test("apply -f samples/ becomes Ready and shows URL, readiness and age", async () => {
    expect(await playground.kubectl("apply", "-f", "samples/")).toContain(
      `llminferenceservice.serving.kserve.io/${NAME} created`,
    );
    url = await readyUrl(playground, NAME);
    const table = await playground.kubectl("get", "llmisvc");
    expect(table).toMatch(/^NAME\s+URL\s+READY\s+REASON\s+AGE\n/);
    expect(table).toMatch(new RegExp(`${NAME}\\s+${url}\\s+True\\s+\\d+s`));
  }, 90_000);

  test("doctor finds nothing wrong", async () => {
    const env = { KUBECONFIG: `${playground.folder}/kubeconfig` };
    const { code, stdout } = await run(`${ROOT}bin/llmisvc`, ["doctor", NAME, "--namespace=default"], { env });
    expect(stdout).toMatch(/\n0 errors, 0 warnings, \d+ checks passed\n$/);
    expect(code).toBe(0);
  });

  test("plain and streamed completions arrive through the gateway", async () => {
    const body = { model: "facebook/opt-125m", prompt: "Once upon a time", max_tokens: 8 };
    const plain = await post(`${url}/v1/completions`, body);
    expect(plain.status).toBe(200);
    expect(JSON.parse(plain.text)).toMatchObject({ object: "text_completion", usage: { completion_tokens: 8 } });
    const streamed = await post(`${url}/v1/chat/completions`, {
      model: "facebook/opt-125m",
      messages: [{ role: "user", content: "Hello" }],
      stream: true,
      max_tokens: 8,
    });
    expect(streamed.headers.get("content-type")).toContain("text/event-stream");
    expect(streamed.text).toMatch(/data: \[DONE\]\s*$/);
    expect(streamed.text.match(/^data: \{/gm)?.length).toBeGreaterThanOrEqual(8);
  });

  test("the scheduler's log shows decisions, and its metrics page counts them", async () => {
    await completion("count me");
    const logs = await until("a decision in the log", async () => {
      const text = await playground.kubectl("logs", "-l", SCHEDULER, "--tail=-1");
      return text.includes(`${NAME}-kserve-`) && text.includes("queue-scorer") ? text : undefined;
    });
    expect(logs).toContain("facebook/opt-125m");
    expect(await picks()).toBeGreaterThanOrEqual(3);
  });

  test("scale to 4 and edit to 3 replicas is followed by children and picks", async () => {
    const workload = `app.kubernetes.io/name=${NAME},kserve.io/component=workload`;
    const ready = async (count: number) =>
      await until(
        `${count} ready pods`,
        async () => {
          const pods = await playground.list("pods", "default", workload);
          const serving = pods.filter((pod) => at(pod, "metadata.deletionTimestamp") === undefined);
          const isReady = serving.every((pod) => at(pod, "status.containerStatuses.0.ready") === true);
          return serving.length === count && isReady ? serving : undefined;
        },
        { timeoutMs: 40_000 },
      );
    await playground.kubectl("scale", `llmisvc/${NAME}`, "--replicas=4");
    await ready(4);
    await playground.kubectl("patch", "llmisvc", NAME, "--type=merge", "-p", '{"spec":{"replicas":2}}');
    await ready(2);
    expect(await playground.edit("llmisvc", NAME, "s/replicas: 2/replicas: 3/")).toContain("edited");
    const pods = await ready(3);
    const served = new Set<string>();
    await until("every pod served", async () => {
      served.add(await completion(`prompt ${served.size} ${performance.now()}`));
      return served.size === 3;
    });
    expect([...served].sort()).toEqual(pods.map((pod) => pod.metadata.name).sort());
  }, 120_000);

  test("describe, explain, events and -o wide answer", async () => {
    expect(await playground.kubectl("describe", "llmisvc", NAME)).toMatch(/Events:[\s\S]*LLMInferenceServiceReady/);
    expect(await playground.kubectl("explain", "llmisvc.spec.router.scheduler")).toContain("FIELDS:");
    expect(await playground.kubectl("events", "--for", `llmisvc/${NAME}`)).toContain("is Ready");
    expect(await playground.kubectl("get", "pods", "-o", "wide")).toMatch(/Running .*\b(127|10)(\.\d+){3} +playground/);
  });

  test("delete removes every child", async () => {
    await playground.kubectl("delete", "-f", "samples/", "--timeout=60s");
    const kinds =
      "deployments,replicasets,pods,services,serviceaccounts,roles,rolebindings,inferencepools,httproutes,secrets,configmaps";
    const label = ["-l", `app.kubernetes.io/name=${NAME}`];
    const listed = "{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}";
    const left = (format: string) => playground.kubectl("get", kinds, ...label, "-o", format);
    const patience = { timeoutMs: 60_000 };
    await until("all children gone or draining", async () => (await left(`go-template=${listed}`)) === "", patience);
    await playground.kubectl("delete", "pods", ...label, "--grace-period=1");
    await until("all children gone", async () => (await left("name")) === "", patience);
  }, 120_000);
});
