import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { plainManifests } from "../../charts/manifests.ts";
import { writeChart } from "../../charts/package.ts";
import { KINDS } from "../../kube/resources.ts";
import { at } from "../e2e/playground.ts";
import { ROOT, run, start } from "../e2e/process.ts";
import { until } from "../../playground/until.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { createDefinitions, referenceDefinitions, schemaless } from "./definitions.ts";
import { describeWith } from "./real.ts";
import { folderOf } from "./toolbox.ts";

const START_MS = 60_000;
const NAMESPACE = "kserve";
const RELEASE = "llmisvc";
const RESTRICTED = { "pod-security.kubernetes.io/enforce": "restricted" };
const MONITORING = [KINDS.ServiceMonitor, KINDS.PodMonitor, KINDS.PrometheusRule];
const EVERYTHING =
  "monitoring.serviceMonitor=true,monitoring.podMonitor=true,monitoring.alerts=true,dashboards.enabled=true,networkPolicy.enabled=true,podDisruptionBudget.enabled=true";
const FREE_PORTS = ["--webhook-port=0", "--health-probe-addr=127.0.0.1:0"];

/** What becomes of `samples/quickstart.yaml`; the sub-objects of each need rights of their own. */
const CHILDREN = [
  [KINDS.Deployment, "quickstart-kserve"],
  [KINDS.Service, "quickstart-kserve-workload-svc"],
  [KINDS.ServiceAccount, "quickstart-epp-sa"],
  [KINDS.Role, "quickstart-epp-role"],
  [KINDS.RoleBinding, "quickstart-epp-rb"],
  [KINDS.ClusterRoleBinding, "default-quickstart-epp-auth-rb"],
  [KINDS.Deployment, "quickstart-kserve-router-scheduler"],
  [KINDS.Service, "quickstart-epp-service"],
  [KINDS.InferencePool, "quickstart-inference-pool"],
  [KINDS.HTTPRoute, "quickstart-kserve-route"],
] as const;

describeWith(
  "the chart on a real API server",
  "kubernetes",
  "helm",
)("the chart on a real API server", () => {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-chart-"));
  const chart = writeChart(folder);
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ definitions: referenceDefinitions() });
    writeFileSync(join(folder, "kubeconfig"), cluster.kubeconfig);
    await createDefinitions(cluster.client, MONITORING.map(schemaless));
    const { apiVersion, kind } = KINDS.Namespace;
    await cluster.client.create({ apiVersion, kind, metadata: { name: NAMESPACE, labels: RESTRICTED } });
    const labelled = { type: "merge", body: { metadata: { labels: RESTRICTED } } } as const;
    await cluster.client.patch(KINDS.Namespace, { name: "default" }, labelled);
  }, START_MS);
  afterAll(async () => {
    await cluster?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs helm in the release's namespace; whatever came of it. */
  const tryHelm = (...args: readonly string[]) =>
    run(join(folderOf("helm"), "helm"), [...args, "--namespace", NAMESPACE], {
      env: { KUBECONFIG: join(folder, "kubeconfig"), HOME: folder },
    });
  const helm = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await tryHelm(...args);
    if (code !== 0) throw new Error(`helm ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  };
  const deployment = async () =>
    await cluster.client.get(KINDS.Deployment, { namespace: NAMESPACE, name: "llmisvc-controller-manager" });

  test("lint finds nothing to complain about", async () => {
    expect(await helm("lint", chart)).toContain("0 chart(s) failed");
  });

  test(
    "install takes one line and serves both kinds",
    async () => {
      const notes = await helm("install", RELEASE, chart, "--create-namespace", "--set", "gateway.create=true");
      expect(notes).toContain("STATUS: deployed");
      for (const kind of [KINDS.LLMInferenceService, KINDS.LLMInferenceServiceConfigV1Alpha1])
        await until(`${kind.plural} served`, () => cluster.client.serves(kind), { timeoutMs: START_MS });
      expect(at(await deployment(), "spec.replicas")).toBe(1);
    },
    START_MS,
  );

  /** Names of the pods that the API server let be made, by a label. */
  const podsOf = async (namespace: string, labelSelector: string) =>
    await until(`pods ${labelSelector} in a restricted namespace`, async () => {
      const { items } = await cluster.client.list(KINDS.Pod, { namespace, labelSelector });
      return items.length > 0 ? items : undefined;
    });

  test("its pods are let into a namespace that enforces the restricted pod security standard", async () => {
    expect(await podsOf(NAMESPACE, "control-plane=llmisvc-controller-manager")).toHaveLength(1);
  });

  test(
    "the operator, with the rights that the chart gives it alone, makes everything of a service",
    async () => {
      const account = "llmisvc-controller-manager";
      const token = await run("kubectl", ["create", "token", account, "-n", NAMESPACE], {
        env: { KUBECONFIG: join(folder, "kubeconfig") },
      });
      expect(token.stderr).toBe("");
      writeFileSync(join(folder, "operator"), cluster.kubeconfig.replaceAll(cluster.token, token.stdout.trim()));
      const operator = start(join(ROOT, "bin/node"), [join(ROOT, "cmd/operator/main.ts"), ...FREE_PORTS], {
        KUBECONFIG: join(folder, "operator"),
        POD_NAMESPACE: NAMESPACE,
        LLMISVC_BIND_ADDRESS: "127.0.0.1",
      });
      try {
        await operator.output(/"operator started"/, START_MS);
        const sample = await run("kubectl", ["apply", "-f", join(ROOT, "samples/quickstart.yaml")], {
          env: { KUBECONFIG: join(folder, "kubeconfig") },
        });
        expect(sample.stdout).toMatch(/quickstart created/);
        for (const [kind, name] of CHILDREN)
          await until(
            `${kind.kind} ${name}`,
            () => cluster.client.find(kind, kind.namespaced ? { namespace: "default", name } : { name }),
            { detail: () => operator.stdout() + operator.stderr() },
          );
        await podsOf("default", "app.kubernetes.io/component=llminferenceservice-scheduler");
        expect(operator.stdout() + operator.stderr()).not.toMatch(/forbidden|"level":"error"/);
      } finally {
        operator.child.kill("SIGTERM");
        await operator.finished;
      }
    },
    2 * START_MS,
  );

  test("a value of the wrong type or name is refused with its path", async () => {
    const { code, stderr } = await tryHelm("upgrade", RELEASE, chart, "--set", "replicas=two,replica=2");
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/replicas.*want number/s);
    expect(stderr).toMatch(/'replica' not allowed/);
  });

  test(
    "every optional object is taken, and the schedulers' metrics have a token",
    async () => {
      await helm("upgrade", RELEASE, chart, "--set", EVERYTHING);
      const here = { namespace: NAMESPACE };
      for (const kind of [...MONITORING, KINDS.NetworkPolicy, KINDS.PodDisruptionBudget])
        expect((await cluster.client.list(kind, here)).items.length).toBeGreaterThan(0);
      const dashboard = await cluster.client.get(KINDS.ConfigMap, { ...here, name: "llmisvc-services-dashboard" });
      expect(JSON.stringify(dashboard["data"])).toContain("LLMInferenceServices");
      await until("the token of the metrics reader", async () => {
        const secret = await cluster.client.get(KINDS.Secret, { ...here, name: "llmisvc-metrics-reader-token" });
        return at(secret, "data.token") !== undefined;
      });
      await helm("rollback", RELEASE, "1");
    },
    START_MS,
  );

  test(
    "upgrade, rollback and uninstall; services and their definitions stay",
    async () => {
      await helm("upgrade", RELEASE, chart, "-f", join(chart, "values-ha.yaml"));
      expect(at(await deployment(), "spec.replicas")).toBe(2);
      await helm("rollback", RELEASE, "1");
      expect(at(await deployment(), "spec.replicas")).toBe(1);
      await helm("uninstall", RELEASE);
      expect(await cluster.client.find(KINDS.ClusterRole, { name: "kserve-llmisvc-manager-role" })).toBeUndefined();
      expect(await cluster.client.serves(KINDS.LLMInferenceService)).toBe(true);
    },
    START_MS,
  );

  test(
    "install again finds the definitions that stayed; so does kubectl apply of the plain manifests",
    async () => {
      await helm("install", RELEASE, chart);
      await helm("uninstall", RELEASE);
      const input = plainManifests(join(folderOf("helm"), "helm"));
      const env = { KUBECONFIG: join(folder, "kubeconfig"), HOME: folder };
      const applied = await run("kubectl", ["apply", "--server-side", "-f", "-"], { env, input });
      expect({ code: applied.code, stderr: applied.stderr }).toEqual({ code: 0, stderr: "" });
      expect(at(await deployment(), "spec.replicas")).toBe(1);
    },
    START_MS,
  );
});
