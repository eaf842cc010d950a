import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type HttpKubeClient, createKubeClient, loadKubeConfig } from "../../kube/http-client.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type ApiServer, createApiServer } from "../apiserver/server.ts";
import { type Controllers, startControllers } from "../controllers/controllers.ts";
import { type Fields, field, recordsAt, textAt } from "../fields.ts";
import { type PodRunner, createPodRunner } from "./runner.ts";
import { until } from "../until.ts";

let api: ApiServer;
let client: HttpKubeClient;
let controllers: Controllers;
let runner: PodRunner;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-runner-"));
  api = await createApiServer();
  client = createKubeClient(await loadKubeConfig({ text: api.kubeconfig() }));
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, api.kubeconfig());
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "ns" } });
  await client.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "ns" } });
  controllers = await startControllers(client);
  const entries = { operator: "/none", scheduler: "/none", sidecar: "/none", simulator: "/none", cli: "/none" };
  runner = await createPodRunner({ client, entries, access: { kubeconfig }, folder, settings: { backOffMs: 20 } });
  api.onPodLogs(runner.logs);
});
afterAll(async () => {
  await runner.close();
  await controllers.close();
  client.close();
  await api.close();
});

const POLL = { pollMs: 10 };

const shell = (script: string, more: Fields = {}): Fields => ({
  name: "main",
  image: "busybox",
  command: ["/bin/sh", "-c", script],
  ...more,
});

async function run(name: string, spec: Fields): Promise<void> {
  const pod: KubeObject = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "ns" }, spec };
  await client.create(pod);
}

const get = (name: string) => client.get(KINDS.Pod, { namespace: "ns", name });
const status = (pod: KubeObject, ...path: (string | number)[]) => field(pod, "status", "containerStatuses", 0, ...path);
const reached = (name: string, phase: string) =>
  until(
    `${name} ${phase}`,
    async () => {
      const pod = await get(name);
      return textAt(pod, "status", "phase") === phase && pod;
    },
    POLL,
  );
const gone = (name: string) =>
  until(`${name} gone`, async () => (await client.find(KINDS.Pod, { namespace: "ns", name })) === undefined, POLL);
const logOf = async (pod: string): Promise<string> => {
  const signal = AbortSignal.timeout(5000);
  const options = { follow: false, previous: false, timestamps: false, tailLines: undefined, sinceMs: undefined };
  let text = "";
  for await (const line of await runner.logs({ namespace: "ns", pod, container: "main", signal, ...options }))
    text += line;
  return text;
};

describe("pods as processes", () => {
  test("run their init containers first, see their address, variables and volumes, and succeed", async () => {
    const data = { greeting: Buffer.from("hello").toString("base64") };
    await client.create({ apiVersion: "v1", kind: "Secret", metadata: { name: "s", namespace: "ns" }, data });
    const volumeMounts = [
      { name: "shared", mountPath: "/work" },
      { name: "secret", mountPath: "/etc/secret", readOnly: true },
    ];
    const script = "cat /work/init /etc/secret/greeting; echo; echo $(WHO) $POD_IP";
    await run("full", {
      restartPolicy: "Never",
      volumes: [
        { name: "shared", emptyDir: {} },
        { name: "secret", secret: { secretName: "s" } },
      ],
      initContainers: [{ ...shell("echo first > /work/init", { volumeMounts }), name: "init" }],
      containers: [
        shell("", {
          command: ["/bin/sh", "-c", script],
          env: [{ name: "WHO", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
          volumeMounts,
        }),
      ],
    });
    const pod = await reached("full", "Succeeded");
    expect(await logOf("full")).toBe(`first\nhello\nfull ${textAt(pod, "status", "podIP")}\n`);
    expect(textAt(pod, "status", "podIP")).toMatch(/^127\./);
    expect(textAt(pod, "spec", "nodeName")).toBe("playground");
  });

  test("are started again when they end, with growing delays and their last state", async () => {
    await run("crash", {
      containers: [shell("echo oops; exit 3", { terminationMessagePolicy: "FallbackToLogsOnError" })],
    });
    const restarted = async () => {
      const now = await get("crash");
      return Number(status(now, "restartCount")) >= 2 && now;
    };
    const pod = await until("two restarts", restarted, POLL);
    expect(status(pod, "lastState", "terminated")).toMatchObject({ exitCode: 3, reason: "Error", message: "oops" });
    await client.delete(KINDS.Pod, { namespace: "ns", name: "crash" });
    await gone("crash");
  });

  test("without a program say which image it is", async () => {
    await run("unknown", { containers: [{ name: "main", image: "nginx" }] });
    const waiting = await until(
      "its message",
      async () => status(await get("unknown"), "state", "waiting", "message"),
      POLL,
    );
    expect(waiting).toContain('no program for image "nginx"');
  });

  const stubborn = async (name: string, graceSeconds: number): Promise<void> => {
    const containers = [shell("trap '' TERM; while :; do sleep 0.05; done")];
    await run(name, { containers, terminationGracePeriodSeconds: graceSeconds });
    await reached(name, "Running");
    await client.delete(KINDS.Pod, { namespace: "ns", name });
  };

  test("end on request, and at the latest when their grace is over", async () => {
    await stubborn("stubborn", 1);
    await gone("stubborn");
  });

  test("end sooner when a later deletion gives less time", async () => {
    await stubborn("hurried", 3600);
    await client.delete(KINDS.Pod, { namespace: "ns", name: "hurried" }, { gracePeriodSeconds: 1 });
    await gone("hurried");
  });

  test("of a Deployment come, are endpoints of its Service, and go with it", async () => {
    const labels = { app: "web" };
    const container = shell("exec sleep 1000", { ports: [{ name: "http", containerPort: 8000 }] });
    const template = { metadata: { labels }, spec: { containers: [container] } };
    const spec = { replicas: 2, selector: { matchLabels: labels }, template };
    await client.create({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace: "ns" },
      spec,
    });
    const service = { selector: labels, ports: [{ port: 80, targetPort: "http" }] };
    await client.create({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "ns" },
      spec: service,
    });
    const sliceOfTwo = async () => {
      const { items } = await client.list(KINDS.EndpointSlice, { namespace: "ns" });
      const ready = recordsAt(items[0], "endpoints").filter((one) => field(one, "conditions", "ready") === true);
      return ready.length === 2 && items[0];
    };
    const slice = await until("two ready endpoints", sliceOfTwo, POLL);
    expect(slice?.["ports"]).toMatchObject([{ port: 8000, protocol: "TCP" }]);
    await client.delete(KINDS.Deployment, { namespace: "ns", name: "web" }, { propagationPolicy: "Foreground" });
    const allGone = async () => {
      const { items } = await client.list(KINDS.Pod, { namespace: "ns", labelSelector: "app=web" });
      const deployment = await client.find(KINDS.Deployment, { namespace: "ns", name: "web" });
      return items.length === 0 && deployment === undefined;
    };
    await until("Deployment and pods gone", allGone, POLL);
  });
});
