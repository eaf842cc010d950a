import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { createTestContext, openExchange, storeOf, PODS } from "../../test/extproc-exchange.ts";
import {
  COMPLETION,
  POST,
  requestBody,
  requestHeaders,
  responseBody,
  responseHeaders,
} from "../../test/extproc-messages.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../../telemetry/metrics.ts";
import { loadConfig } from "../config/load.ts";
import { createDirector } from "../request/director.ts";
import { RequestError } from "../request/types.ts";
import { createPipeline } from "../scheduling/pipeline.ts";
import type { CallHandler } from "../server/transport.ts";
import { labelBudgetsOf } from "./label-budget.ts";
import { schedulingMetricsOf } from "./scheduling-metrics.ts";
import { measuredMethod } from "./stream-metrics.ts";

const G =
  ".005 .025 .05 .1 .2 .4 .6 .8 1 1.25 1.5 2 3 4 5 6 8 10 15 20 30 45 60 120 180 240 300 360 480 600 900 1200 1800 2700 3600";
const R = "1 8 16 32 64 128 256 512 1024 2048 4096 8192 16384 32778 65536";
const P = ".0001 .0002 .0005 .001 .002 .005 .01 .02 .05 .1";
const D = ".0005 .00205 .005 .01 .02 .04 .06 .08 .1 .125 .15 .2 .3 .4 .5 .6 .8 1 2";
const BOUNDS = {
  G,
  S: Array.from({ length: 25 }, (_, power) => 64 * 2 ** power).join(" "),
  R,
  T: `${R} 131072 262144 524288 1048576`,
  O: R.split(" ").slice(0, 12).join(" "),
  N: ".001 .002 .005 .01 .02 .05 .1 .2 .5 1 2 5 10",
  F: G.split(" ").slice(0, 24).join(" "),
  D,
  I: ".001 .005 .01 .02 .04 .06 .08 .1 .15 .2 .3 .5 .75 1 2",
  K: ".0005 .001 .002 .005 .01 .015 .025 .04 .06 .1 .25 .5 1 2.5 5 10",
  L: ".0001 .00025 .0005 .001 .0025 .005 .01 .025 .05 .1 .25 .5 1 2.5 5",
  P,
};
const M = ["model_name", "target_model_name", "fairness_id", "priority"];
const m = ["model_name", "target_model_name"];

/** Families of the request path: name, labels, bounds of histograms. */
const FAMILIES: readonly (readonly [string, readonly string[], keyof typeof BOUNDS | undefined])[] = [
  ["llm_d_epp_request_total", M, undefined],
  ["inference_objective_request_total", [...m, "priority"], undefined],
  ["endpoint_picker_requests_total", M, undefined],
  ["llm_d_epp_request_error_total", [...M, "error_code"], undefined],
  ["inference_objective_request_error_total", [...m, "error_code"], undefined],
  ["endpoint_picker_request_errors_total", [...M, "error_code"], undefined],
  ["llm_d_epp_request_duration_seconds", M, "G"],
  ["inference_objective_request_duration_seconds", m, "G"],
  ["llm_d_epp_request_size_bytes", M, "S"],
  ["inference_objective_request_sizes", m, "S"],
  ["llm_d_epp_response_size_bytes", M, "R"],
  ["inference_objective_response_sizes", m, "R"],
  ["llm_d_epp_request_input_tokens", M, "T"],
  ["inference_objective_input_tokens", m, "T"],
  ["llm_d_epp_request_output_tokens", M, "O"],
  ["inference_objective_output_tokens", m, "O"],
  ["llm_d_epp_request_cached_tokens", M, "T"],
  ["inference_objective_prompt_cached_tokens", m, "T"],
  ["llm_d_epp_request_running", M, undefined],
  ["inference_objective_running_requests", ["model_name"], undefined],
  ["llm_d_epp_request_ntpot_seconds", M, "N"],
  ["inference_objective_normalized_time_per_output_token_seconds", m, "N"],
  ["llm_d_epp_request_ttft_seconds", [...M, "streaming"], "F"],
  ["llm_d_epp_request_streaming_tpot_seconds", M, "D"],
  ["llm_d_epp_request_streaming_itl_seconds", M, "I"],
  ["llm_d_epp_request_processing_duration_seconds", [], "K"],
  ["llm_d_epp_response_processing_duration_seconds", [], "L"],
  ["llm_d_epp_scheduler_e2e_duration_seconds", [], "P"],
  ["inference_extension_scheduler_e2e_duration_seconds", [], "P"],
  ["endpoint_picker_scheduling_duration_seconds", [], "P"],
  [
    "llm_d_epp_scheduler_attempts_total",
    ["status", "target_model_name", "endpoint_name", "namespace", "port"],
    undefined,
  ],
  [
    "inference_extension_scheduler_attempts_total",
    ["status", "target_model_name", "pod_name", "namespace", "port"],
    undefined,
  ],
  ["llm_d_epp_plugin_duration_seconds", ["extension_point", "plugin_type", "plugin_name"], "P"],
  ["inference_extension_plugin_duration_seconds", ["extension_point", "plugin_type", "plugin_name"], "P"],
  ["llm_d_epp_info", ["commit", "build_ref"], undefined],
  ["inference_extension_info", ["commit", "build_ref"], undefined],
  ["endpoint_picker_picks_total", ["target_model_name", "namespace", "pod", "port"], undefined],
  ["endpoint_picker_open_streams", [], undefined],
];

/** A registry after one streamed request with usage, and one that failed. */
async function page(): Promise<string> {
  const registry = createMetricsRegistry();
  const context = createTestContext({ registry, director: { metrics: schedulingMetricsOf(registry) } });
  const exchange = openExchange(context);
  exchange.send(requestHeaders());
  exchange.send(requestBody(COMPLETION));
  exchange.send(responseHeaders({ ":status": "200", "content-type": "text/event-stream" }));
  exchange.send(responseBody("data: {}\n\n", false));
  exchange.send(
    responseBody(
      'data: {"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}\n\n',
    ),
  );
  exchange.halfClose();
  const failed = openExchange(context);
  failed.send(requestHeaders());
  failed.send(requestBody("no JSON"));
  return registry.render();
}

describe("the families of the request path", () => {
  test.each(FAMILIES)("%s", async (name, labels, bounds) => {
    const text = await page();
    const sample = new RegExp(`^${name}(?:_bucket)?(?:\\{(.*?)\\})? \\S+$`, "gm");
    const series = [...text.matchAll(sample)].map(([, written = ""]) =>
      Object.fromEntries([...written.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key, value])),
    );
    expect(series.length).toBeGreaterThan(0);
    for (const own of series) expect(Object.keys(own).filter((key) => key !== "le")).toEqual(labels);
    if (bounds === undefined) return;
    const own = (labelled: Record<string, string | undefined>): string => JSON.stringify({ ...labelled, le: "" });
    const first = series.filter((labelled) => own(labelled) === own(series[0] ?? {}));
    expect(first.map(({ le }) => Number(le?.replace("+Inf", "Infinity")))).toEqual([
      ...BOUNDS[bounds].split(" ").map(Number),
      Infinity,
    ]);
  });

  test("are all documented", () => {
    const text = readFileSync(new URL("../../docs/observability.md", import.meta.url), "utf8");
    const missing = FAMILIES.map(([name]) => name).filter(
      (name) => !text.includes(`\`${name.replace("llm_d_epp_", "")}\``),
    );
    expect(missing.filter((name) => !text.includes(`\`${name}`))).toEqual([]);
  });

  test("values of one streamed request", async () => {
    const text = await page();
    const labels = 'model_name="m",target_model_name="m",fairness_id="default-flow",priority="0"';
    for (const line of [
      `llm_d_epp_request_total{${labels}} 1`,
      `llm_d_epp_request_input_tokens_sum{${labels}} 3`,
      `llm_d_epp_request_output_tokens_sum{${labels}} 4`,
      `llm_d_epp_request_cached_tokens_sum{${labels}} 2`,
      `llm_d_epp_request_size_bytes_sum{${labels}} ${COMPLETION.length}`,
      `llm_d_epp_request_ttft_seconds_count{${labels},streaming="true"} 1`,
      `llm_d_epp_request_streaming_tpot_seconds_count{${labels}} 1`,
      `llm_d_epp_request_streaming_itl_seconds_count{${labels}} 1`,
      'llm_d_epp_scheduler_attempts_total{status="success",target_model_name="m",endpoint_name="pod-1",namespace="default",port="8000"} 1',
      'llm_d_epp_plugin_duration_seconds_count{extension_point="Scorer",plugin_type="queue-scorer",plugin_name="queue-scorer"} 1',
    ])
      expect(text.split("\n")).toContain(line);
  });
});

/** Number of series of a family. */
const seriesOf = async (registry: MetricsRegistry, name: string): Promise<number> =>
  [...(await registry.render()).matchAll(new RegExp(`^${name}\\{`, "gm"))].length;

describe("label values", () => {
  test("of hostile clients are bounded", async () => {
    const registry = createMetricsRegistry();
    const context = createTestContext({ registry, director: { metrics: schedulingMetricsOf(registry) } });
    const hostile = [
      "x".repeat(10_000),
      "a\nb",
      "\u0000",
      'q"\\',
      ...Array.from({ length: 3000 }, (_, index) => `m-${index}`),
    ];
    for (const name of hostile) {
      const exchange = openExchange(context);
      exchange.send(requestHeaders({ ...POST, "x-llm-d-inference-fairness-id": name.slice(0, 2000) }));
      exchange.send(requestBody(JSON.stringify({ model: name, prompt: "x" })));
      exchange.halfClose();
    }
    const names = new Set(
      [...(await registry.render()).matchAll(/model_name="((?:[^"\\]|\\.)*)"/g)].map(([, name]) => name),
    );
    expect(names.size).toBeLessThanOrEqual(1003);
    expect([...names].every((name) => name!.length <= 260)).toBe(true);
    expect(await seriesOf(registry, "llm_d_epp_request_total")).toBeLessThanOrEqual(1003);
  });

  test("that the configuration names are always shown", () => {
    const { models } = labelBudgetsOf(createMetricsRegistry());
    for (let index = 0; index < 2000; index++) models.admit(`m-${index}`);
    models.alwaysAdmit(() => new Set(["lora"]));
    expect(["lora", "unknown", "m-3", ""].map((name) => models.admit(name))).toEqual(["lora", "other", "m-3", ""]);
  });
});

test("an attempt that finds no endpoint is a failure without one", async () => {
  const registry = createMetricsRegistry();
  const { config } = loadConfig(undefined);
  if (config === undefined) throw new Error("the default configuration does not load");
  const store = storeOf(PODS);
  const shared = { logger: silentLogger, metrics: registry, random: { next: () => 0 } };
  const pipeline = createPipeline({ config, endpoints: store, ...shared });
  const handler = { ...pipeline.handler, nextProfiles: () => [] };
  const director = createDirector({
    store,
    pipeline: () => ({ ...pipeline, handler }),
    logger: silentLogger,
    now: () => 1,
    metrics: schedulingMetricsOf(registry),
  });
  const body = createTestContext().parsers.parse("/v1/completions", Buffer.from(COMPLETION));
  const request = { id: "r", path: "/", headers: new Map(), body, subset: undefined, receivedAtMs: 0 };
  expect(() => director.handle({ ...request, signal: new AbortController().signal })).toThrow(RequestError);
  expect(await registry.render()).toContain(
    'llm_d_epp_scheduler_attempts_total{status="failure",target_model_name="m",endpoint_name="",namespace="",port=""} 1',
  );
});

test("streams are counted by code where the flag asks for it", async () => {
  const registry = createMetricsRegistry();
  let time = 0;
  const handlers: CallHandler[] = [];
  const method = measuredMethod(
    (call) => ({ onMessage: () => call.end(2), onHalfClose: () => call.end(0), onCancel: () => undefined }),
    registry,
    () => (time += 500),
  );
  const call = { send: () => undefined, end: () => undefined, hold: () => true };
  for (let index = 0; index < 4; index++) handlers.push(method(call));
  handlers[0]?.onHalfClose();
  handlers[1]?.onMessage(Buffer.alloc(0));
  handlers[2]?.onCancel();
  handlers[2]?.onCancel();
  const text = await registry.render();
  expect(text).toContain("llm_d_epp_extproc_streams_inflight 1");
  expect(text).toContain("llm_d_epp_extproc_stream_duration_seconds_count 3");
  for (const code of ["OK", "Unknown", "Canceled"])
    expect(text).toContain(`llm_d_epp_extproc_streams_total{code="${code}"} 1`);
});
