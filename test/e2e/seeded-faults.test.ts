import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { parseConditions } from "../../controllers/status/conditions.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { NAME } from "../fault-objects.ts";
import { PLAIN, SCENARIOS, type Scenario } from "../fault-scenarios.ts";
import { createGateway } from "../installation.ts";
import { type OperatorBed, bedDefinitions, definedKind, startBed } from "../operator-bed.ts";
import { createDefinitions } from "../cluster/definitions.ts";
import { SeededFault, type Told, tells } from "../seeded-fault.ts";
import { until } from "../../playground/until.ts";
import { type PolicyWebhook, startPolicyWebhook } from "../policy-webhook.ts";

/** Asks for a pool, but for nothing of the Gateway API. */
const UNROUTED = { ...PLAIN, router: { scheduler: {} } };
/** Kinds that the second cluster lacks. */
const OPTIONAL = ["HTTPRoute", "Gateway", "GatewayClass", "InferencePool", "LeaderWorkerSet", "ScaledObject"];

const all = Object.entries(SCENARIOS);
/** Faults that the cluster or its users cause; refusals of the API server are in the table test and below. */
const INSTALLED = all.filter(([, { refused, extras }]) => refused === undefined && extras?.unserved === undefined);
const BARE = all
  .filter(([, { extras }]) => extras?.unserved !== undefined)
  .map(([what, scenario]) => [what, what === "pool CRD absent" ? { ...scenario, spec: UNROUTED } : scenario] as const);
/** The bed has the default Gateway: its absence is told as that of one that is named. */
const ELSEWHERE = new Set(["gateway absent"]);

const PARALLEL = 6;

const failed = (error: unknown): Told => ({ ms: Number.NaN, conditions: [], named: false, error });

/** Several at once, each in a namespace of its own. */
async function tellAll(bed: OperatorBed, cases: readonly (readonly [string, Scenario])[], prefix: string) {
  const told = new Map<string, Told>();
  const rest = cases.entries();
  const worker = async (): Promise<void> => {
    for (const [index, [what, scenario]] of rest)
      told.set(what, await new SeededFault(bed.client, `${prefix}-${index}`, scenario).tell().catch(failed));
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return told;
}

const namespaces = (cases: readonly unknown[], prefix: string): string[] =>
  cases.map((_, index) => `${prefix}-${index}`);

describe("in a cluster without optional APIs", () => {
  let bed: OperatorBed;
  let told: ReadonlyMap<string, Told>;
  beforeAll(async () => {
    bed = await startBed(namespaces(BARE, "ml"), { without: OPTIONAL });
    await bed.start();
    told = await tellAll(bed, BARE, "ml");
  }, 240_000);
  afterAll(async () => await bed?.close());

  test.each(BARE.map(([what]) => what))("%s", (what) => expect(told.get(what)).toMatchObject({ named: true }));

  test("each service gets what it lacks once the API is there, without a restart", async () => {
    const optional = bedDefinitions().filter((definition) => OPTIONAL.includes(definedKind(definition)));
    await createDefinitions(bed.client, optional);
    await createGateway(bed.client);
    const wanted: Readonly<Record<string, Resource>> = {
      "Gateway API absent": KINDS.HTTPRoute,
      "pool CRD absent": KINDS.InferencePool,
      "LWS CRD absent": KINDS.LeaderWorkerSet,
      "KEDA CRD absent": KINDS.ScaledObject,
    };
    await until("the children of kinds that came later", async () => {
      const lists = BARE.map(([what], index) => bed.client.list(wanted[what]!, { namespace: `ml-${index}` }));
      return (await Promise.all(lists)).every(({ items }) => items.length > 0);
    });
    const services = BARE.map((_, index) =>
      bed.client.get(KINDS.LLMInferenceService, { namespace: `ml-${index}`, name: NAME }),
    );
    await bed.rest();
    for (const [index, service] of (await Promise.all(services)).entries()) {
      const [, { fault, words }] = BARE[index]!;
      const { conditions } = service["status"] as JsonObject;
      expect(tells(parseConditions(conditions), { fault, words })).toBe(false);
    }
  }, 120_000);
});

describe("a running operator names the fault within five seconds", () => {
  const cases = INSTALLED.filter(([what]) => !ELSEWHERE.has(what));
  let bed: OperatorBed;
  let told: ReadonlyMap<string, Told>;
  beforeAll(async () => {
    bed = await startBed(namespaces(cases, "ml"));
    await bed.start();
    told = await tellAll(bed, cases, "ml");
  }, 240_000);
  afterAll(async () => await bed?.close());

  test.each(cases.map(([what]) => what))("%s", (what) => expect(told.get(what)).toMatchObject({ named: true }));

  test("an Event tells of a rollout that fails while old pods serve", async () => {
    const index = cases.findIndex(([what]) => what === "rollout stalled while old pods serve");
    const { items } = await bed.client.list(KINDS.Event, { namespace: `ml-${index}` });
    const told = items.filter((event) => event["reason"] === "ProgressDeadlineExceeded");
    expect(told.map((event) => [event["type"], event["count"]])).toEqual([["Warning", 1]]);
  });

  test("there are 25 of them at least", () => {
    expect(new Set(cases.map(([, { fault }]) => fault)).size).toBeGreaterThanOrEqual(25);
    const times = [...told.values()].map(({ ms }) => Math.round(ms)).sort((a, b) => a - b);
    console.info(`${times.length} faults; ms until named: median ${times[times.length >> 1]}, longest ${times.at(-1)}`);
  });
});

describe("a running operator names what stands between it and its children", () => {
  const cases = ["child denied", "webhook down", "webhook certificate expired"];
  let bed: OperatorBed;
  let webhook: PolicyWebhook;
  beforeAll(async () => {
    bed = await startBed(namespaces(cases, "ml"));
    webhook = await startPolicyWebhook(bed.client);
    await bed.start();
  }, 240_000);
  afterAll(async () => {
    await bed?.close();
    await webhook?.close();
  });

  test.each(cases.map((what, index) => [what, `ml-${index}`] as const))("%s", async (what, namespace) => {
    const scenario = SCENARIOS[what]!;
    await webhook.guard(namespace, what);
    const told = await new SeededFault(bed.client, namespace, scenario).tell();
    expect(told).toMatchObject({ named: true });
  });
});
