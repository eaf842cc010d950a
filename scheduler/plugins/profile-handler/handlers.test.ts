import { describe, expect, test } from "@jest/globals";
import { silentLogger } from "../../../telemetry/log.ts";
import { createMetricsRegistry } from "../../../telemetry/metrics.ts";
import { loadConfig } from "../../config/load.ts";
import { createParsers } from "../../parsers/parsers.ts";
import { createDirector } from "../../request/director.ts";
import { RequestError, type RoutingDecision } from "../../request/types.ts";
import { createPipeline } from "../../scheduling/pipeline.ts";
import { type BenchEndpoint, storeOf } from "../../../test/scheduler/plugin-bench.ts";

const role = (name: string, waiting = 0): BenchEndpoint => ({ waiting, labels: { "llm-d.ai/role": name } });
/** Pods a to d. */
const POOL = [role("decode"), role("prefill"), role("encode"), role("prefill", 5)];

const stage = (name: string) => ({ name, plugins: [{ pluginRef: `${name}-filter` }, { pluginRef: "queue-scorer" }] });
const STAGES = ["decode", "prefill", "encode"];

interface Case {
  readonly handler: Readonly<Record<string, unknown>>;
  readonly others?: readonly string[];
  readonly profiles?: readonly unknown[];
  readonly pool?: readonly BenchEndpoint[];
  readonly headers?: readonly (readonly [string, string])[];
  readonly image?: boolean;
}

/** Decides about one request with a profile handler and the filters of its stages. */
function decide({ handler, others = [], profiles = STAGES.map(stage), pool = POOL, headers = [], image }: Case) {
  const types = [...STAGES.map((name) => `${name}-filter`), "queue-scorer", ...others];
  const { config, errors } = loadConfig({
    apiVersion: "llm-d.ai/v1alpha1",
    kind: "EndpointPickerConfig",
    plugins: [handler, ...types.map((type) => ({ type }))],
    schedulingProfiles: profiles,
  });
  if (config === undefined) throw new Error(JSON.stringify(errors));
  const store = storeOf(pool);
  const common = {
    endpoints: store,
    random: { next: () => 0.5 },
    logger: silentLogger,
    metrics: createMetricsRegistry(),
  };
  const pipeline = createPipeline({ config, ...common });
  const director = createDirector({ store, pipeline: () => pipeline, logger: silentLogger, now: () => 1000 });
  const json = {
    model: "m",
    messages: [{ role: "user", content: image === true ? [{ type: "image_url", image_url: {} }] : "x" }],
  };
  const body = createParsers().parse("/v1/chat/completions", Buffer.from(JSON.stringify(json)));
  const signal = new AbortController().signal;
  const request = {
    id: "r",
    path: "/v1/chat/completions",
    headers: new Map(headers),
    subset: undefined,
    receivedAtMs: 0,
  };
  return director.handle({ ...request, signal, body }) as RoutingDecision;
}

/** Why a request is refused. */
function refusalOf(given: Case): RequestError {
  try {
    decide(given);
  } catch (error) {
    if (error instanceof RequestError) return error;
  }
  throw new Error("not refused");
}

const disagg = (parameters: unknown) => ({ type: "disagg-profile-handler", parameters });
const ALWAYS = "always-disagg-pd-decider";
const MEDIA = "always-disagg-multimodal-decider";

describe("disagg-profile-handler", () => {
  test.each([
    ["prefill and encode", { prefill: ALWAYS, encode: MEDIA }, true, ["10.0.0.2:8000", "10.0.0.3:8000"]],
    ["text needs no encoding", { prefill: ALWAYS, encode: MEDIA }, false, ["10.0.0.2:8000", undefined]],
    ["no decider, no stage", {}, true, [undefined, undefined]],
    ["encode alone", { encode: MEDIA }, true, [undefined, "10.0.0.3:8000"]],
  ])("%s", (_name, deciders, image, [prefill, encode]) => {
    const others = [ALWAYS, MEDIA];
    const { destination, setHeaders } = decide({ handler: disagg({ deciders }), others, image });
    const headers = new Map(setHeaders);
    expect(destination).toBe("10.0.0.1:8000");
    expect([headers.get("x-prefiller-host-port"), headers.get("x-encoder-hosts-ports")]).toEqual([prefill, encode]);
  });

  test("prefill first takes the prefill stage for every request", () => {
    const { setHeaders } = decide({ handler: disagg({ stageOrder: "Prefill_First" }) });
    expect(new Map(setHeaders).get("x-prefiller-host-port")).toBe("10.0.0.2:8000");
  });

  test("former flat parameters", () => {
    const flat = { decodeProfile: "decode", prefillDeciderPluginName: ALWAYS };
    const { setHeaders } = decide({ handler: disagg(flat), others: [ALWAYS] });
    expect(new Map(setHeaders).get("x-prefiller-host-port")).toBe("10.0.0.2:8000");
  });

  test("a stage without endpoints is left out, unless it is decode", () => {
    const handler = disagg({ deciders: { prefill: ALWAYS } });
    const { setHeaders } = decide({ handler, others: [ALWAYS], pool: [role("decode")] });
    expect(setHeaders).toEqual([]);
    const refusal = refusalOf({ handler, others: [ALWAYS], pool: [role("encode")] });
    expect([refusal.httpStatus, refusal.droppedReason]).toEqual([429, "rejected-saturated"]);
    expect(refusal.message).toBe(
      "failed to find target endpoint: failed to find available decode workers: no endpoints available for the given request",
    );
  });

  test("what the client sent of its headers is removed", () => {
    const headers = [["x-prefiller-host-port", "6.6.6.6:1"]] as const;
    expect(decide({ handler: disagg({}), headers }).removeHeaders).toEqual(["x-prefiller-host-port"]);
  });

  test("prefill first has no decider of prefill", () => {
    const handler = disagg({ stageOrder: "prefill-first", deciders: { prefill: ALWAYS } });
    expect(() => decide({ handler, others: [ALWAYS] })).toThrow("not supported in prefill-first");
  });
});

describe("header-profile-handler", () => {
  const handler = { type: "header-profile-handler" };
  test.each([
    [[], "10.0.0.1:8000"],
    [[["epp-profile", " prefill "]], "10.0.0.2:8000"],
    [[["epp-profile", "encode"]], "10.0.0.3:8000"],
  ] as const)("%j", (headers, destination) => {
    expect(decide({ handler, headers }).destination).toBe(destination);
  });

  test("a profile that does not exist is the client's mistake", () => {
    expect(refusalOf({ handler, headers: [["epp-profile", "x"]] }).httpStatus).toBe(400);
  });
});

test("data-parallel-profile-handler goes through the primary port", () => {
  const handler = { type: "data-parallel-profile-handler", parameters: { primaryPort: 9000 } };
  const { destination, setHeaders } = decide({ handler, profiles: [stage("decode")] });
  expect(destination).toBe("10.0.0.1:9000");
  expect(setHeaders).toEqual([["x-data-parallel-host-port", "10.0.0.1:8000"]]);
});

describe("pd-profile-handler", () => {
  const profiles = [stage("decode"), stage("prefill")];
  const prefillOf = (parameters: object, others: readonly string[] = []): string | undefined => {
    const handler = { type: "pd-profile-handler", parameters };
    return new Map(decide({ handler, profiles, others }).setHeaders).get("x-prefiller-host-port");
  };
  test("a threshold of 0 always disaggregates", () => expect(prefillOf({})).toBe("10.0.0.2:8000"));
  test("an empty prompt is below a threshold", () => expect(prefillOf({ threshold: 300 })).toBeUndefined());
  test("a decider decides", () => expect(prefillOf({ deciderPluginName: ALWAYS }, [ALWAYS])).toBe("10.0.0.2:8000"));
});
