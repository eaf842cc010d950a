import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { PLAIN, SCENARIOS, type Scenario } from "../fault-scenarios.ts";
import { type OperatorBed, startBed } from "../operator-bed.ts";
import { SeededFault, type Told } from "../seeded-fault.ts";
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
  }, 60_000);
  afterAll(async () => await bed?.close());

  test.each(BARE.map(([what]) => what))("%s", (what) => expect(told.get(what)).toMatchObject({ named: true }));
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
  }, 60_000);
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
