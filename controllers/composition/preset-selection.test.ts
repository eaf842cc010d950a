import { describe, expect, test } from "@jest/globals";
import { parseYaml } from "../../kube/yaml.ts";
import { isObject } from "../../crds/json.ts";
import { type SchedulerNeeds, pinPresets, presetName, selectPresets } from "./preset-selection.ts";

const NOTHING: SchedulerNeeds = { tokenizer: false, latencyPredictor: false };

function selected(shape: string, needs: SchedulerNeeds = NOTHING): string {
  const spec = parseYaml(shape);
  return selectPresets(isObject(spec) ? spec : {}, needs)
    .map((suffix) => suffix.replace("config-llm-", ""))
    .join(" ");
}

describe("selection", () => {
  test.each([
    ["{}", "template"],
    ["router: {}", "template"],
    ["router: {gateway: {}}", "template"],
    ["router: {route: {}}", "router-route template"],
    ["router: {scheduler: {}, route: {}, gateway: {}}", "scheduler router-route template"],
    ["{router: {scheduler: {}, route: {}}, prefill: {}}", "scheduler router-route prefill-template decode-template"],
    ["{worker: {}, parallelism: {data: 32, dataLocal: 8}}", "worker-data-parallel"],
    ["{worker: {}, parallelism: {dataLocal: 8, pipeline: 2}}", "worker-data-parallel"],
    ["{worker: {}, parallelism: {pipeline: 2}}", "worker-pipeline-parallel"],
    ["{parallelism: {pipeline: 2}}", "template"],
    ["{worker: {}, parallelism: {tensor: 2}}", ""],
    ["{worker: {}}", ""],
    ["{worker: {}, parallelism: {data: 0}}", ""],
    [
      "{worker: {}, parallelism: {data: 2}, prefill: {worker: {}, parallelism: {data: 2}}}",
      "prefill-worker-data-parallel decode-worker-data-parallel",
    ],
    ["{prefill: {worker: {}, parallelism: {pipeline: 2}}}", "prefill-worker-pipeline-parallel decode-template"],
    ["{prefill: {worker: {}}}", "decode-template"],
    ["{prefill: {}, worker: {}, parallelism: {pipeline: 2}}", "prefill-template decode-worker-pipeline-parallel"],
    ["router: {scheduler: {pool: {ref: {name: p}}}, route: {}}", "router-route template"],
    ["router: {scheduler: {}, route: {http: {refs: [{name: r}]}}}", "scheduler template"],
    ["router: {route: {http: {refs: []}}}", "router-route template"],
    ["tracing: {}", "tracing template"],
  ])("%s: %s", (shape, expected) => {
    expect(selected(shape)).toBe(expected);
  });

  test("helpers of the scheduler follow it", () => {
    expect(selected("router: {scheduler: {}}", { tokenizer: true, latencyPredictor: true })).toBe(
      "scheduler tokenizer scheduler-latency-predictor template",
    );
    expect(
      selected("router: {scheduler: {pool: {ref: {name: p}}}}", { tokenizer: true, latencyPredictor: false }),
    ).toBe("tokenizer template");
  });
});

describe("pinning", () => {
  const current = { prefix: "kserve-", pinned: true };
  const later = { prefix: "v2-kserve-", pinned: true };

  test("the first pass records every name, later ones keep them", () => {
    const pins = pinPresets({ other: "x" }, current);
    expect(Object.keys(pins)).toHaveLength(12);
    expect(pinPresets(pins, later)).toEqual(pins);
    expect(presetName("config-llm-template", pins, later)).toBe("kserve-config-llm-template");
    expect(presetName("config-llm-router-route", pins, later)).toBe("v2-kserve-config-llm-router-route");
    expect(presetName("config-llm-worker-pipeline-parallel", pins, later)).toBe(
      "v2-kserve-config-llm-worker-pipeline-parallel",
    );
  });

  test("an empty value is recorded anew", () => {
    const pins = pinPresets({ "serving.kserve.io/config-llm-template": "" }, later);
    expect(pins["serving.kserve.io/config-llm-template"]).toBe("v2-kserve-config-llm-template");
  });

  test("switched off, nothing is recorded or read", () => {
    const off = { prefix: "v2-", pinned: false };
    const pins = { "serving.kserve.io/config-llm-template": "kserve-config-llm-template" };
    expect(pinPresets(pins, off)).toBe(pins);
    expect(presetName("config-llm-template", pins, off)).toBe("v2-config-llm-template");
  });
});
