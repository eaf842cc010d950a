import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { type ComposeCluster, composeInput, serviceOf } from "../../test/composition.ts";
import { readShared } from "../../test/corpus.ts";
import { compose } from "./compose.ts";
import { at, listAt, objectAt } from "./json.ts";
import type { AppliedConfig, Composed } from "./types.ts";

function composed(manifest: Json, cluster: ComposeCluster = {}): Composed {
  const result = compose(composeInput(serviceOf(manifest, "ns1"), cluster));
  if (result.kind === "failed") throw new Error(result.message);
  return result;
}

const names = (configs: readonly AppliedConfig[]): string[] =>
  configs.map(({ name, namespace }) => `${namespace}/${name.replace("kserve-config-llm-", "")}`);

const main = (spec: JsonObject): JsonObject | undefined => objectAt(listAt(spec, "template", "containers")[0]);

const environment = (spec: JsonObject): Json[] =>
  listAt(main(spec), "env").map((variable) => at(variable, "name") ?? null);

const SAMPLES = "corpus/manifests/kserve/samples/v0.20.0/opt-125m-cpu/llm-inference-service-facebook-opt-125m-cpu";

describe("published samples", () => {
  test("the quickstart of this repository gets a scheduler, a route and a single-node workload", () => {
    const text = readFileSync(new URL("../../samples/quickstart.yaml", import.meta.url), "utf8");
    const { spec, appliedConfigs } = composed(parseYaml(text));
    expect(names(appliedConfigs)).toEqual(["kserve/scheduler", "kserve/router-route", "kserve/template"]);
    expect(at(spec, "replicas")).toBe(3);
    expect(at(main(spec), "resources", "limits")).toEqual({ cpu: "1", memory: "4Gi" });
    expect(listAt(main(spec), "command")[2]).toContain(
      "--served-model-name facebook/opt-125m publishers/ns1/models/facebook/opt-125m",
    );
  });

  test("the CPU sample keeps the order of variables and the preset's probe handler", () => {
    const { spec } = composed(parseYaml(readShared(`${SAMPLES}.yaml`)));
    expect(environment(spec)).toEqual(["HOME", "VLLM_LOGGING_LEVEL", "VLLM_CPU_KVCACHE_SPACE", "HF_HUB_CACHE"]);
    expect(at(main(spec), "livenessProbe")).toEqual({
      httpGet: { path: "/health", port: 8000, scheme: "HTTP" },
      initialDelaySeconds: 30,
      periodSeconds: 30,
      timeoutSeconds: 30,
      failureThreshold: 5,
    });
    expect(at(spec, "router", "scheduler", "pool", "spec", "endpointPickerRef", "failureMode")).toBe("FailOpen");
  });

  test("without a scheduler every backend of the route is the workload Service", () => {
    const { spec, appliedConfigs } = composed(parseYaml(readShared(`${SAMPLES}-no-scheduler.yaml`)));
    expect(names(appliedConfigs)).toEqual(["kserve/router-route", "kserve/template"]);
    const rules = listAt(spec, "router", "route", "http", "spec", "rules");
    expect(rules).toHaveLength(12);
    for (const rule of rules)
      expect(listAt(rule, "backendRefs")).toEqual([
        { group: "", kind: "Service", name: "facebook-opt-125m-single-kserve-workload-svc", port: 8000, weight: 1 },
      ]);
  });
});
