import { describe, expect, test } from "@jest/globals";
import { createLogger, silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { POOL, storeOf } from "../../test/scheduler/plugin-bench.ts";
import { incomingRequest } from "../../test/scheduler/requests.ts";
import { loadConfig } from "../config/load.ts";
import { EndpointStore } from "../datalayer/endpoint-store.ts";
import { createPipeline } from "../scheduling/pipeline.ts";
import { createDirector } from "./director.ts";
import { type Director, type IncomingRequest, RequestError, type ResponseSummary } from "./types.ts";

const UNKNOWN_END: ResponseSummary = {
  termination: "natural",
  status: 200,
  usage: undefined,
  responseBytes: 0,
  firstByteMs: undefined,
  durationMs: 1,
};

/** Metrics read at the director's time. */
const filledStore = (): EndpointStore => storeOf(POOL.map((endpoint) => ({ ...endpoint, updatedAtMs: 1 })));

function directorOf(store: EndpointStore, lines: string[], config?: string): Director {
  const loaded = loadConfig(config);
  if (loaded.config === undefined) throw new Error(JSON.stringify(loaded.errors));
  const logger = createLogger({ verbosity: 5, write: (text) => void lines.push(text) });
  const pipeline = createPipeline({
    config: loaded.config,
    endpoints: store,
    random: { next: () => 0.5 },
    logger,
    metrics: createMetricsRegistry(),
  });
  const director = createDirector({ store, pipeline: () => pipeline, logger, now: () => 1, emitScores: true });
  return director;
}

const request = (prompt: string, subset?: readonly string[]): IncomingRequest =>
  incomingRequest(prompt, { id: "r1", subset });

describe("director with the default configuration", () => {
  test("weighs queue and cache of the fleet", async () => {
    const decision = await directorOf(filledStore(), []).handle(request("hello"));
    expect(decision.destination).toBe("10.0.0.1:8000");
    expect(decision.scores?.get("10.0.0.1:8000")).toBeCloseTo(2 * 1 + 2 * 0.8, 6);
    expect(decision.scores?.get("10.0.0.2:8000")).toBeCloseTo(2 * 0.75 + 2 * 0.45, 6);
    expect(decision.scores?.get("10.0.0.3:8000")).toBeCloseTo(2 * 0.1, 6);
  });

  test("returns to the endpoint that has seen the prefix", async () => {
    const store = filledStore();
    const director = directorOf(store, []);
    const prompt = "x".repeat(4096);
    await director.handle(request(prompt, ["10.0.0.2:8000"]));
    const decision = await director.handle(request(prompt));
    expect(decision.endpoint.podName).toBe("pod-b");
    expect(decision.scores?.get("10.0.0.2:8000")).toBeCloseTo(2 * 0.75 + 2 * 0.45 + 3, 6);
  });

  test("keeps no body of a request that waits for its answer", async () => {
    const { ticket } = await directorOf(filledStore(), []).handle(request("a prompt that is gone"));
    expect(ticket).toMatchObject({ request: { id: "r1" } });
    expect(ticket).not.toHaveProperty("request.body");
  });

  test("refuses where no endpoint is left", () => {
    const director = directorOf(filledStore(), []);
    expect(() => director.handle(request("x", ["10.9.9.9"]))).toThrow(RequestError);
    expect(() => directorOf(new EndpointStore(), []).handleBodyless(request("x"))).toThrow(
      "no pods available in datastore",
    );
  });
});

test.each([
  ["no-hit-lru-scorer", [1, 0.5, 0]],
  ["load-aware-scorer", [0.5, 0.48828125, 0.453125]],
  ["running-requests-size-scorer", [1, 2 / 3, 0]],
  ["active-request-scorer", [1, 1, 1]],
  ["lora-affinity-scorer", [0, 0, 0]],
])("%s alone", async (type, expected) => {
  const config = JSON.stringify({ apiVersion: "llm-d.ai/v1alpha1", kind: "EndpointPickerConfig", plugins: [{ type }] });
  const { scores } = await directorOf(filledStore(), [], config).handle(request("hello"));
  expected.forEach((score, index) => expect(scores?.get(`10.0.0.${index + 1}:8000`)).toBeCloseTo(score, 6));
});

describe("a reload", () => {
  const PREFIX = "approx-prefix-cache-producer";
  const configOf = (lruCapacityPerServer: number, weight: number) => {
    const { config } = loadConfig({
      apiVersion: "llm-d.ai/v1alpha1",
      kind: "EndpointPickerConfig",
      plugins: [
        { type: PREFIX, parameters: { lruCapacityPerServer } },
        { type: "prefix-cache-scorer" },
        { type: "active-request-scorer" },
      ],
      schedulingProfiles: [
        {
          name: "default",
          plugins: [{ pluginRef: "prefix-cache-scorer", weight }, { pluginRef: "active-request-scorer" }],
        },
      ],
    });
    if (config === undefined) throw new Error("the configuration does not load");
    return config;
  };

  test.each([
    ["keeps what plugins with the same parameters remember", 1000, 16],
    ["makes those anew whose parameters changed", 2000, 0],
  ])("%s", async (_, capacity, blocks) => {
    const shared = { endpoints: filledStore(), random: { next: () => 0.5 }, logger: silentLogger };
    const metrics = createMetricsRegistry();
    let pipeline = createPipeline({ ...shared, metrics, config: configOf(1000, 1) });
    const store = shared.endpoints;
    const director = createDirector({ store, pipeline: () => pipeline, logger: silentLogger, now: () => 1 });
    const { ticket, destination } = await director.handle(request("x".repeat(4096)));
    pipeline = createPipeline({ ...shared, metrics, config: configOf(capacity, 3), kept: pipeline.kept });
    expect(pipeline.dump()).toMatchObject({
      [PREFIX]: { blocks },
      "inflight-load-producer": { endpoints: [{ requests: 1 }] },
    });
    expect((await director.handle(request("x".repeat(4096)))).destination === destination).toBe(blocks > 0);
    director.onComplete(ticket, { ...UNKNOWN_END });
    expect(pipeline.dump()).toMatchObject({ "inflight-load-producer": { endpoints: [{ requests: 1 }] } });
  });
});
