import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { composeInput, composed, config, demo, failed, serviceOf } from "../../test/composition.ts";
import { listShared, readShared } from "../../test/corpus.ts";
import { parseYaml, parseYamlDocuments } from "../../kube/yaml.ts";
import { compose } from "./compose.ts";
import { at, listAt, objectAt } from "../../crds/json.ts";
import type { AppliedConfig, Composed } from "./types.ts";

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

describe("base refs", () => {
  const configs = [
    config("a", "{replicas: 2, labels: {a: x}, prefill: {}}"),
    config("b", "{replicas: 3, labels: {b: z}}", "kserve"),
    config("b", "{replicas: 4}", "ns2"),
  ];

  test("merge in order, below the service; the service's namespace goes before the operator's", () => {
    const { spec, appliedConfigs } = composed(demo("{baseRefs: [{name: a}, {name: b}], labels: {a: own}}"), {
      configs,
    });
    expect(at(spec, "replicas")).toBe(3);
    expect(at(spec, "labels")).toEqual({ a: "own", b: "z" });
    expect(at(spec, "baseRefs")).toBeUndefined();
    expect(names(appliedConfigs)).toEqual(["kserve/prefill-template", "kserve/decode-template", "ns1/a", "kserve/b"]);
    expect(appliedConfigs.map(({ source }) => source)).toEqual(["Preset", "Preset", "UserRef", "UserRef"]);
  });

  test("a preset of the service's namespace stands in for the operator's", () => {
    const own = config("kserve-config-llm-template", "{template: {containers: [{name: main, image: own}]}}");
    const { spec, appliedConfigs } = composed(demo("{}"), { configs: [own] });
    expect(names(appliedConfigs)).toEqual(["ns1/template"]);
    expect(at(spec, "template")).toEqual({ containers: [{ name: "main", image: "own" }] });
  });

  test("all missing configs are named", () => {
    const manifest = demo("{baseRefs: [{name: x}, {name: a}, {name: z}], worker: {}, parallelism: {data: 1}}");
    const options = { presets: { prefix: "v9-", pinned: false } };
    expect(failed(manifest, { configs, options })).toMatchObject({
      reason: "ConfigNotFound",
      missingConfigs: ["v9-config-llm-prefill-template", "v9-config-llm-decode-worker-data-parallel", "x", "z"],
    });
    expect(failed(demo("{baseRefs: [{name: x}]}")).message).toBe(
      'LLMInferenceServiceConfig "x" not found in namespaces [ns1 kserve]',
    );
  });

  test("an empty reference and a list element without its key are refused", () => {
    expect(failed(demo("{baseRefs: [{}]}"))).toMatchObject({ reason: "CombineBaseError" });
    const broken = [config("a", "{template: {containers: [{image: x}]}}")];
    expect(failed(demo("{baseRefs: [{name: a}]}"), { configs: broken }).message).toContain(
      "LLMInferenceServiceConfig ns1/a: spec.template.containers[0]",
    );
  });

  test("the model's name: chosen by the user, else from the last base ref, else the service's", () => {
    const named = [config("base", "{model: {name: from-config, uri: ''}}")];
    const name = (spec: string): Json | undefined => at(composed(demo(spec), { configs: named }).spec, "model", "name");
    expect(name("{}")).toBe("demo");
    expect(name("{baseRefs: [{name: base}]}")).toBe("from-config");
    expect(name("{baseRefs: [{name: base}], model: {uri: u, name: chosen}}")).toBe("chosen");
  });

  test("pins of earlier passes decide the names of presets", () => {
    const service = serviceOf(demo("{}"), "ns1");
    const status = { annotations: { "serving.kserve.io/config-llm-template": "old" } };
    const input = composeInput({ ...service, status }, { configs: [config("old", "{replicas: 7}", "kserve")] });
    expect(compose(input)).toMatchObject({ kind: "composed", spec: { replicas: 7 } });
  });
});

describe("scheduler configuration by reference", () => {
  const text = "plugins:\n- type: predicted-latency-producer # {{ kept }}\n";
  const service = (ref: string): Json => demo(`{router: {scheduler: {config: {ref: ${ref}}}}}`);

  test("is taken verbatim and decides the helpers", () => {
    const configMaps = { "ns1/c": { data: { epp: text } } };
    const { spec, appliedConfigs } = composed(service("{name: c}"), { configMaps });
    expect(objectAt(spec, "router", "scheduler", "config")).toEqual({ inline: text });
    expect(names(appliedConfigs)).toContain("kserve/scheduler-latency-predictor");
  });

  test("is looked up in the operator's namespace only under a shared name", () => {
    const configMaps = {
      "kserve/config-scheduler-x": { data: { k: "a: 1" } },
      "kserve/other": { data: { epp: "a: 1" } },
    };
    expect(
      at(composed(service("{name: config-scheduler-x, key: k}"), { configMaps }).spec, "router", "scheduler", "config"),
    ).toEqual({ inline: "a: 1" });
    expect(failed(service("{name: other}"), { configMaps }).message).toContain(
      'ConfigMap "other" not found in namespaces [ns1]',
    );
  });

  test("errors name the ConfigMap", () => {
    const configMaps = { "ns1/c": { data: { epp: "[1]", bad: "a: [" } } };
    expect(failed(service("{name: c}"), { configMaps }).message).toContain("must hold one YAML mapping");
    expect(failed(service("{name: c, key: bad}"), { configMaps }).message).toContain("not valid YAML");
    const long = { "ns1/c": { data: { epp: `a: ${"x".repeat(300_000)}` } } };
    expect(failed(service("{name: c}"), { configMaps: long }).message).toContain("too many for a configuration");
    expect(failed(service("{name: c, key: none}"), { configMaps }).message).toContain('doesn\'t have key "none"');
    expect(at(composed(service("{name: none, optional: true}")).spec, "router", "scheduler", "config")).toEqual({});
  });
});

describe("checks and corrections", () => {
  test("adapters: sorted, of a scheme that can be mounted, with a storage initializer", () => {
    const lora = (adapters: string, more = ""): Json => demo(`{model: {uri: u, lora: {adapters: ${adapters}}}${more}}`);
    const sorted = composed(lora("[{name: b, uri: 'hf://x'}, {name: a, uri: 'pvc://x'}]"));
    expect(listAt(sorted.spec, "model", "lora", "adapters").map((adapter) => at(adapter, "name"))).toEqual(["a", "b"]);
    expect(failed(lora("[{name: a, uri: 'oci://x'}, {name: b, uri: ''}]")).errors).toHaveLength(2);
    expect(failed(lora("[{name: a/x, uri: 'hf://x'}, {name: a-x, uri: 'hf://y'}]")).errors).toEqual([
      {
        path: "spec.model.lora.adapters[1].name",
        message: '"a-x" and "a/x" have the same folder, /mnt/lora/a-x: rename one',
      },
    ]);
    expect(failed(lora("[{name: a, uri: 'hf://x'}]", ", storageInitializer: {enabled: false}")).message).toContain(
      "spec.storageInitializer.enabled is false",
    );
  });

  test("an invalid result names the configs that were merged", () => {
    const validate = (): ReturnType<NonNullable<ReturnType<typeof composeInput>["validate"]>> => [
      { path: "spec.replicas", kind: "Invalid", value: -1, message: "must be at least 0" },
    ];
    expect(failed(demo("{}"), { options: { validate } })).toMatchObject({
      reason: "InvalidRenderedConfig",
      message:
        "validation failed after merging configs [Preset:kserve/kserve-config-llm-template]: spec.replicas: Invalid value: -1: must be at least 0",
      appliedConfigs: [{ name: "kserve-config-llm-template" }],
    });
  });

  test("probes of the serving port speak the server's scheme, unless command or annotation say otherwise", () => {
    const probe = "livenessProbe: {httpGet: {path: /health, port: 8000, scheme: HTTPS}}";
    const pod = (more: string): string => `{template: {containers: [{name: main, ${probe}${more}}]}}`;
    const scheme = ({ spec }: Composed): Json | undefined => at(main(spec), "livenessProbe", "httpGet", "scheme");
    const corrected = composed(demo(pod("")));
    expect(scheme(corrected)).toBe("HTTP");
    expect(corrected.warnings.map(({ reason }) => reason)).toEqual(["ProbeSchemeCorrected"]);
    expect(scheme(composed(demo(pod(", command: [serve]"))))).toBe("HTTPS");
    expect(scheme(composed(demo(pod(""), { "serving.kserve.io/keep-probe-scheme": "true" })))).toBe("HTTPS");
  });
});

test.each<[string, Json, readonly string[]]>([
  ["a storage initializer with arguments of the user's", { args: ["x"] }, ["StorageInitializerOverride"]],
  ["one that only asks for more memory", { resources: { limits: { memory: "8Gi" } } }, []],
])("%s", (_what, more, expected) => {
  const initializer = { name: "storage-initializer", ...(more as JsonObject) };
  const spec = { model: { uri: "hf://a/b" }, template: { initContainers: [initializer] } };
  const composed = compose(composeInput(serviceOf({ metadata: { name: "s" }, spec }, "ns1")));
  expect(composed.warnings.map(({ reason }) => reason)).toEqual(expected);
});

describe("every published service", () => {
  const documents = listShared("corpus/manifests", ".yaml").flatMap((path) =>
    parseYamlDocuments(readShared(path)).filter((document) => at(document, "kind") === "LLMInferenceService"),
  );

  test("composes to the same spec twice, and again from its own result", () => {
    expect(documents.length).toBeGreaterThan(50);
    for (const document of documents) {
      const service = serviceOf(document, "ns1");
      const first = compose(composeInput(service));
      expect(compose(composeInput(service))).toEqual(first);
      if (first.kind === "failed") continue;
      const again = compose(composeInput({ ...service, spec: first.spec }));
      expect(again.kind === "composed" ? again.spec : again.message).toEqual(first.spec);
    }
  });

  test("never throws, whatever a string is replaced with", () => {
    const service = serviceOf(documents[0] ?? null, "ns1");
    const junk = fc.oneof(
      fc.string(),
      fc.constantFrom("{{", "{{ . }}", "{{ range .Spec.Replicas }}x{{ end }}", "{{ .Spec }}"),
    );
    fc.assert(
      fc.property(fc.jsonValue(), junk, (value, text) => {
        const spec = {
          ...service.spec,
          labels: { text },
          router: { scheduler: { config: { inline: value as Json } } },
        };
        expect(["composed", "failed"]).toContain(compose(composeInput({ ...service, spec })).kind);
      }),
    );
  });
});
