import { createKubeClient } from "../../kube/http-client.ts";
import { createApiServer } from "../../playground/apiserver/server.ts";
import { startGarbageCollector } from "../../playground/controllers/garbage-collector.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { type Cluster, startCluster } from "../cluster/cluster.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type Difference, compareRuns } from "./compare.ts";
import { createDefinitions } from "../cluster/definitions.ts";
import { plainAccess } from "../loopback.ts";
import { compareDescriptions } from "./descriptions.ts";
import { CUSTOM_DEFINITION, compareCollection, families } from "./garbage.ts";
import { scenarios } from "./generate.ts";
import { isKnown } from "./known-differences.ts";
import { WIDGET_DEFINITION } from "./kinds.ts";
import { type Server, runScenario } from "./run.ts";
import type { Scenario } from "./step.ts";

/** How much is generated: scenarios for each kind, requests in each. */
export interface SuiteSize {
  readonly seed: number;
  readonly count: number;
  readonly length: number;
}

/** Scenarios that run at once. */
const PARALLEL = 8;

/**
 * Runs generated scenarios on a real API server and on the embedded one, and returns what they answer differently, say
 * differently of their kinds, or collect differently.
 */
export async function compareServers(size: SuiteSize): Promise<{ requests: number; differences: Difference[] }> {
  const [generated, described] = await Promise.all([compareAnswers(size), compareBackground(size)]);
  return { requests: generated.requests, differences: [...generated.differences, ...described] };
}

/** Families of owners and dependents. */
const FAMILIES = 40;

/** Compares garbage collection, on servers with their collectors. */
async function compareBackground(size: SuiteSize): Promise<Difference[]> {
  const definitions = [CUSTOM_DEFINITION];
  const cluster = await startCluster({ controllers: ["garbage-collector-controller"], definitions });
  const embedded = await createApiServer();
  const client = createKubeClient(plainAccess(embedded.url));
  await createDefinitions(client, definitions);
  const collector = await startGarbageCollector(client, silentLogger);
  try {
    return await compareCollection(cluster.client, client, families(size.seed, FAMILIES));
  } finally {
    await collector.close();
    client.close();
    await embedded.close();
    await cluster.close();
  }
}

/** Compares answers to generated requests, and what servers say of their kinds. */
async function compareAnswers(size: SuiteSize): Promise<{ requests: number; differences: Difference[] }> {
  const cluster = await startCluster({
    controllers: false,
    definitions: [WIDGET_DEFINITION as unknown as KubeObject],
    // Nothing here makes the ServiceAccount that pods would need.
    apiServerFlags: ["--disable-admission-plugins=ServiceAccount"],
  });
  const embedded = await createApiServer();
  try {
    const servers = [realServer(cluster), { url: embedded.url, headers: {} }] as const;
    await post(servers[1], "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGET_DEFINITION);
    const { requests, differences } = await compareAll(servers, scenarios(size.seed, size.count, size.length));
    const described = await compareDescriptions(...servers);
    return { requests, differences: [...described, ...differences] };
  } finally {
    await embedded.close();
    await cluster.close();
  }
}

function realServer({ url, token, certificate }: Cluster): Server {
  return { url, headers: { authorization: `Bearer ${token}` }, ca: certificate };
}

async function compareAll(servers: readonly [Server, Server], all: readonly Scenario[]) {
  const differences: Difference[] = [];
  let requests = 0;
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < all.length) {
      const scenario = all[next++]!;
      const [real, embedded] = await Promise.all(servers.map((server) => runIn(server, scenario)));
      const result = compareRuns(real!, embedded!, isKnown);
      requests += result.compared;
      differences.push(...result.differences);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return { requests, differences };
}

async function runIn(server: Server, scenario: Scenario) {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: scenario.namespace } };
  await post(server, "/api/v1/namespaces", namespace);
  return await runScenario(server, scenario);
}

async function post(server: Server, path: string, body: object): Promise<void> {
  const step = { label: "prepare", method: "POST", path, body: JSON.stringify(body) } as const;
  const [outcome] = await runScenario(server, { namespace: "", steps: [step] });
  if (outcome!.code !== 201) throw new Error(`POST ${path}: ${outcome!.code} ${JSON.stringify(outcome!.body)}`);
}
