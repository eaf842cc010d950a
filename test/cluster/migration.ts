import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { KubeClient } from "../../kube/client.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, keyOf } from "../../kube/types.ts";
import { ROOT } from "../e2e/process.ts";
import { until } from "../../playground/until.ts";
import { createPresets, restoreRecording } from "../kserve-state.ts";
import type { BareCluster } from "./bare-cluster.ts";
import { createDefinitions, schemaless } from "./definitions.ts";
import { writeKserveCharts } from "./kserve-charts.ts";
import type { UserShell } from "./user-shell.ts";
import { walkThrough } from "./walkthrough.ts";

const USAGE = `test/cluster/in-network.sh bin/node test/cluster/migration.ts [CHARTS] [-v]

Moves a cluster from KServe's charts to ours by the commands of docs/migrate.md, and looks whether a pod of a service was
touched. CHARTS: folder with KServe's own kserve-llmisvc-crd and kserve-llmisvc-resources; default: charts of the same objects.
`;

const RECORDINGS = ["", "-no-scheduler"].map(
  (what) => `corpus/golden/kserve/samples/main/opt-125m-cpu/llm-inference-service-facebook-opt-125m-cpu${what}.yaml`,
);
const SETTLE_MS = 120_000;

/** The Gateway that KServe's configuration names. */
const GATEWAY: KubeObject = {
  apiVersion: KINDS.Gateway.apiVersion,
  kind: KINDS.Gateway.kind,
  metadata: { name: "kserve-ingress-gateway", namespace: "kserve" },
  spec: {
    gatewayClassName: "envoy",
    listeners: [{ name: "http", protocol: "HTTP", port: 80, allowedRoutes: { namespaces: { from: "All" } } }],
  },
};

/** Command blocks of the part of docs/migrate.md about the operator, in order. */
function documentedCommands(): string[] {
  const page = readFileSync(join(ROOT, "docs/migrate.md"), "utf8");
  const section = /^## The operator$(.*?)^## /ms.exec(page)?.[1] ?? "";
  return [...section.matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)].map(([, block = ""]) => block.replaceAll(/^ +/gm, ""));
}

/** A cluster as KServe leaves it when it runs: its releases, presets, services and their children. */
async function installKserve(cluster: BareCluster, shell: UserShell, charts: string): Promise<void> {
  await createDefinitions(cluster.client, [KINDS.Certificate, KINDS.Issuer].map(schemaless));
  await shell.run(`helm install kserve-llmisvc-crd ${charts}/kserve-llmisvc-crd -n kserve --create-namespace`);
  for (const kind of [KINDS.LLMInferenceService, KINDS.LLMInferenceServiceConfig])
    await until(`${kind.kind} is served`, () => cluster.client.serves(kind), { timeoutMs: SETTLE_MS });
  await cluster.client.create(GATEWAY);
  await createPresets(cluster.client);
  for (const [index, path] of RECORDINGS.entries()) {
    await shell.run(`kubectl create namespace adopted-${index}`);
    await restoreRecording(cluster.client, path, `adopted-${index}`);
  }
  await shell.run(
    `helm install kserve-llmisvc-resources ${charts}/kserve-llmisvc-resources -n kserve --take-ownership`,
  );
}

interface PodState {
  readonly name: string;
  readonly uid: string | undefined;
}

/** Templates of the services' Deployments, and their pods. */
async function workloads(client: KubeClient) {
  const own = ({ metadata }: KubeObject): boolean => metadata.namespace?.startsWith("adopted-") === true;
  const deployments = (await client.list(KINDS.Deployment)).items.filter(own);
  const pods = (await client.list(KINDS.Pod)).items.filter(own);
  return {
    templates: new Map(
      deployments.map((one) => [keyOf(one.metadata), (one["spec"] as { readonly template: unknown }).template]),
    ),
    pods: pods.map(({ metadata }): PodState => ({ name: keyOf(metadata), uid: metadata.uid })),
    wanted: deployments.reduce((sum, one) => sum + ((one["spec"] as { replicas?: number }).replicas ?? 1), 0),
  };
}

async function check(condition: boolean, what: string): Promise<void> {
  if (!condition) throw new Error(what);
  process.stdout.write(`ok: ${what}\n`);
}

async function migrate(cluster: BareCluster, shell: UserShell, charts: string): Promise<void> {
  await installKserve(cluster, shell, charts);
  const before = await until("pods of all services", async () => {
    const found = await workloads(cluster.client);
    return found.pods.length === found.wanted && found.wanted > 2 ? found : undefined;
  });
  await shell.run("mkdir manifests && cp samples/quickstart.yaml manifests/");
  const [look = "", ...steps] = documentedCommands();
  await shell.run(look);
  await cluster.startNode();
  for (const step of steps) await shell.run(step);
  await shell.run("kubectl wait --for=condition=Ready llmisvc --all --all-namespaces --timeout=80s");
  const after = await workloads(cluster.client);
  await check(isDeepStrictEqual(after.templates, before.templates), "no template of a Deployment changed");
  await check(
    isDeepStrictEqual(new Set(after.pods.map(keyText)), new Set(before.pods.map(keyText))),
    "every pod is the one it was",
  );
  await shell.run("kubectl apply -f samples/quickstart.yaml");
  await shell.run("kubectl wait --for=condition=Ready llmisvc/quickstart --timeout=80s");
  await shell.run("kubectl get llminferenceserviceconfigs,llminferenceservices.v1alpha1.serving.kserve.io -A");
}

const keyText = ({ name, uid }: PodState): string => `${name} ${uid}`;

const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) process.stdout.write(USAGE);
else
  await walkThrough({
    name: "migration",
    verbose: args.includes("-v"),
    run: (cluster, shell) =>
      migrate(cluster, shell, args.find((arg) => !arg.startsWith("-")) ?? writeKserveCharts(shell.folder)),
  });
