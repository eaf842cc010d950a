import { expect, test } from "@jest/globals";
import type { EndpointView } from "../../scheduler/datalayer/fleet-report.ts";
import type { DecisionTrace } from "../../scheduler/scheduling/trace.ts";
import { formatTable } from "./table.ts";
import { combine } from "./top.ts";
import { describeTrace } from "./why.ts";

const inputs = (waiting: number, ageMs: number | null) => ({ waiting, running: 2, kvUsage: 0.257, ageMs });
const trace: DecisionTrace = {
  sequence: 1,
  requestId: "r1",
  time: "2026-01-01T00:00:00.000Z",
  model: "m",
  targetModel: "m-v2",
  priority: 0,
  fairnessId: "default-flow",
  candidates: 4,
  screenedOut: ["z-rank-0"],
  profiles: [
    {
      profile: "default",
      filters: [{ plugin: "decode-filter", type: "decode-filter", description: "", left: 3 }],
      freshness: "stale-left-out",
      scorers: [{ plugin: "queue-scorer", type: "queue-scorer", weight: 2 }],
      picker: { plugin: "max-score-picker", type: "max-score-picker", parameters: {} },
      randomState: 7,
      ties: 2,
      candidates: [
        {
          endpoint: "a-rank-0",
          namespace: "ns",
          address: "10.0.0.1:8000",
          verdict: "picked",
          inputs: inputs(0, 12.4),
          scores: [{ scorer: "queue-scorer", raw: 1, weighted: 2 }],
          total: 2,
        },
        {
          endpoint: "b-rank-0",
          namespace: "ns",
          address: "10.0.0.2:8000",
          verdict: "scored",
          inputs: inputs(0, null),
          scores: [{ scorer: "queue-scorer", raw: 1, weighted: 2 }],
          total: 2,
        },
        {
          endpoint: "c-rank-0",
          namespace: "ns",
          address: "10.0.0.3:8000",
          verdict: "removed by filter decode-filter",
          inputs: inputs(5, 10),
        },
      ],
      targets: ["a-rank-0"],
      refusal: undefined,
    },
  ],
  primary: "default",
  destinations: ["10.0.0.1:8000"],
  refusal: undefined,
}; // prettier-ignore

test("a decision as text", () => {
  expect(describeTrace(trace, "ns/scheduler-0")).toBe(`request r1 at 2026-01-01T00:00:00.000Z, decided by ns/scheduler-0
model m, rewritten to m-v2, priority 0, fairness id default-flow
sent to 10.0.0.1:8000
screened out before: z-rank-0

profile default (its pick counts): 3 candidates
ENDPOINT   QUEUE   RUNNING    KV   AGE     queue-scorer×2   TOTAL   VERDICT
a-rank-0       0         2   26%   12ms                 2       2   picked
b-rank-0       0         2   26%   never                2       2   scored
c-rank-0       5         2   26%   10ms                             removed by filter decode-filter
decode-filter left 3
Endpoints with stale metrics were left out.
max-score-picker picked a-rank-0. 2 shared the highest total; chance decided (state 7).
`);
});

test("a request without a body as text", () => {
  expect(describeTrace({ ...trace, profiles: [], screenedOut: [] }, "x")).toContain("any ready endpoint was good");
});

test("a refusal as text", () => {
  const refusal = { code: "ServiceUnavailable", message: "no endpoint" } as const;
  const text = describeTrace({ ...trace, profiles: [], destinations: [], refusal, screenedOut: [] }, "x");
  expect(text).toContain("refused: no endpoint");
});

const view = (name: string, values: Partial<EndpointView>): EndpointView => ({
  namespace: "ns",
  pod: name,
  name: `${name}-rank-0`,
  address: "10.0.0.1:8000",
  rank: 0,
  metricsAddress: "10.0.0.1:8000",
  node: "",
  labels: {},
  ageMs: 10,
  waiting: 0,
  running: 0,
  kvUsage: 0,
  cacheBlockSize: 0,
  cacheNumBlocks: 0,
  maxActiveModels: 0,
  activeModels: [],
  waitingModels: [],
  attributes: {},
  picks: 0,
  ...values,
});

test("picks are summed over replicas, values are the newest", () => {
  const before = [
    { service: "s", endpoints: [view("a", { picks: 10 })] },
    { service: "s", endpoints: [view("a", { picks: 100 })] },
  ];
  const after = [
    { service: "s", endpoints: [view("a", { picks: 14, ageMs: 400, waiting: 9 }), view("b", { picks: 3 })] },
    { service: "s", endpoints: [view("a", { picks: 106, ageMs: 20, waiting: 2 })] },
  ];
  expect(combine(before, after, 2)).toMatchObject([
    { pod: "a", waiting: 2, ageMs: 20, picks: 120, picksPerSecond: 5 },
    { pod: "b", picks: 3, picksPerSecond: 1.5 },
  ]);
});

test("numbers stand to the right", () => {
  expect(
    formatTable(
      ["A", "COUNT"],
      [
        ["x", "1"],
        ["yyy", "100"],
      ],
    ),
  ).toBe("A     COUNT\nx         1\nyyy     100\n"); // prettier-ignore
});
