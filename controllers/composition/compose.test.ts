import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { type ComposeCluster, composeInput, configOf, serviceOf } from "../../test/composition.ts";
import { listShared, readShared } from "../../test/corpus.ts";
import { parseYaml, parseYamlDocuments } from "../../kube/yaml.ts";
import { compose } from "./compose.ts";
import { checkConfig } from "./config-check.ts";
import { defaultGlobalConfig } from "./global-config.ts";
import { managedDevices } from "./managed-devices.ts";
import { at, listAt, objectAt } from "../../crds/json.ts";
import type { AppliedConfig, Composed, Composition, CompositionFailure } from "./types.ts";

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

/** A service `demo` in `ns1` of that spec (YAML). */
const demo = (spec: string, annotations: Json = {}): Json => ({
  metadata: { name: "demo", annotations },
  spec: { model: { uri: "hf://a/b", name: "demo" }, ...objectAt(parseYaml(spec)) },
});

const config = (name: string, spec: string, namespace = "ns1"): ReturnType<typeof configOf> =>
  configOf({ metadata: { name }, spec: parseYaml(spec) }, namespace);

function failed(manifest: Json, cluster: ComposeCluster = {}): CompositionFailure {
  const result: Composition = compose(composeInput(serviceOf(manifest, "ns1"), cluster));
  if (result.kind === "composed") throw new Error("composed");
  return result;
}

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

describe("templates", () => {
  test("see the merged spec, metadata and the operator", () => {
    const configs = [config("a", "{parallelism: {tensor: 8}}")];
    const text =
      "{{ .Name }} {{ .ObjectMeta.Namespace }} {{ .Spec.Parallelism.Tensor }} {{ .Labels.x }} {{ .GlobalConfig.EnableTLS }} {{ .GlobalConfig.InferencePoolNamespacedName }}";
    const manifest = { ...objectAt(demo("{}")), metadata: { name: "demo", labels: { x: "{{ raw" } } };
    const spec = { baseRefs: [{ name: "a" }], model: { uri: "u" }, annotations: { text } };
    const result = composed({ ...manifest, spec }, { configs });
    expect(at(result.spec, "annotations", "text")).toBe("demo ns1 8 {{ raw false ns1/demo-inference-pool");
  });

  test.each([
    ['{{ index .Labels "none" }}|{{ index .Spec.Labels "none" }}', "|"],
    [
      "{{ len .Spec.Router.Gateway.Refs }}{{ range .Spec.Model.LoRA.Adapters }}{{ .Name }}={{ .URI }};{{ end }}",
      "0a=hf://x;",
    ],
    ["{{ range .Spec.Template.Containers }}{{ .Name }}/{{ .Image }}/{{ .Resources.Limits }}{{ end }}", "main/i/map[]"],
    ["{{ .Spec.Template.ServiceAccountName }}.{{ .Spec.Replicas }}.{{ len .Spec.Template.Volumes }}", ".<nil>.0"],
    ["{{ .Spec.Router.Route.Group }}{{ if .Spec.Model.Confidential }}x{{ end }}", "g"],
    ['{{ index .Spec.Template.NodeSelector "none" }}{{ if .Spec.Template.HostNetwork }}x{{ end }}', ""],
  ])("what is not set is Go's zero value: %s", (text, expected) => {
    const preset = config("kserve-config-llm-template", "{template: {containers: [{name: main, image: i}]}}");
    const manifest = demo(`{annotations: {text: ${JSON.stringify(text)}}, router: {gateway: {}, route: {group: g}},
      model: {uri: u, lora: {adapters: [{name: a, uri: 'hf://x'}]}}}`);
    expect(at(composed(manifest, { configs: [preset] }).spec, "annotations", "text")).toBe(expected);
  });

  test("values need no escaping", () => {
    const name = 'say "hi" \\ {{ `{{` }}';
    const { spec } = composed(
      demo(`{model: {uri: u, name: ${JSON.stringify(name)}}, annotations: {n: "{{ .Spec.Model.URI }}"}}`),
    );
    expect(at(spec, "model", "name")).toBe('say "hi" \\ {{');
  });

  test.each([
    ["{{ x }}", 'function "x" not defined'],
    ["{{ .Spec.Nope }}", "can't evaluate field Nope"],
    ["{{ .Spec.Tracing.Sampler }}", "nil pointer evaluating *Tracing.Sampler"],
    ["{{ .Labels.none }}", 'map has no entry for key "none"'],
    ["{{ if }}", "missing value for if"],
    ["{{ .Spec.Model.Name", "unclosed action"],
  ])("%s is an error with its field and its origin", (text, cause) => {
    const { reason, errors } = failed(demo(`{labels: {bad: ${JSON.stringify(text)}, ok: "{{ .Name }}"}}`));
    expect(reason).toBe("CombineBaseError");
    expect(errors).toHaveLength(1);
    expect(errors[0]?.path).toBe("spec.labels.bad");
    expect(errors[0]?.message).toContain(cause);
    expect(errors[0]?.message).toContain("(from LLMInferenceService ns1/demo)");
  });

  test("all errors are reported at once", () => {
    expect(failed(demo('{labels: {a: "{{ x }}", b: "{{ y }}"}}')).errors.map(({ path }) => path)).toEqual([
      "spec.labels.a",
      "spec.labels.b",
    ]);
  });

  test("configs are checked without a service", () => {
    const check = (spec: string): readonly string[] =>
      checkConfig(config("c", spec).spec, "kserve", defaultGlobalConfig("kserve")).map(({ path }) => path);
    expect(check("{template: {containers: [{name: main, image: '{{ .Spec.Model.Name }}'}]}}")).toEqual([]);
    expect(check("{template: {containers: [{name: main, image: '{{ .Spec.X }}'}]}}")).toEqual([
      "spec.template.containers[0].image",
    ]);
    expect(check("{labels: {a: '{{ .Spec.Tracing.Sampler }}', b: '{{ if .Spec.Tracing }}x{{ end }}'}}")).toEqual([
      "spec.labels.a",
    ]);
    expect(check("{template: {containers: [{image: x}]}}")).toEqual(["spec.template.containers[0]"]);
  });
});

describe("completion of the router", () => {
  const route = (spec: JsonObject): JsonObject | undefined => objectAt(spec, "router", "route", "http", "spec");
  const backend = (spec: JsonObject): Json | undefined => listAt(listAt(route(spec), "rules")[0], "backendRefs")[0];

  test("gateway references become the parents", () => {
    const { spec } = composed(
      demo("{router: {route: {}, gateway: {refs: [{name: g, namespace: ns, sectionName: s}, {name: h}]}}}"),
    );
    const common = { group: "gateway.networking.k8s.io", kind: "Gateway" };
    expect(listAt(route(spec), "parentRefs")).toEqual([
      { ...common, name: "g", namespace: "ns", sectionName: "s" },
      { ...common, name: "h" },
    ]);
  });

  test("a foreign pool is the backend, and brings no scheduler", () => {
    const { spec } = composed(demo("{router: {route: {}, scheduler: {pool: {ref: {name: p}}}}}"));
    expect(backend(spec)).toMatchObject({ kind: "InferencePool", name: "p" });
    expect(objectAt(spec, "router", "scheduler", "template")).toBeUndefined();
  });

  test("a hostname alone keeps the rules, also where KServe's default rule was stored", () => {
    const stored = "{hostnames: [h], rules: [{matches: [{path: {type: PathPrefix, value: /}}]}]}";
    for (const given of ["{hostnames: [h]}", stored]) {
      const { spec } = composed(demo(`{router: {route: {http: {spec: ${given}}}}}`));
      expect(listAt(route(spec), "rules")).toHaveLength(12);
      expect(listAt(route(spec), "hostnames")).toEqual(["h"]);
    }
  });

  test("own pools are selected and reached as by default", () => {
    const own = "{router: {scheduler: {pool: {spec: {targetPorts: [{number: 9}], endpointPickerRef: {name: e}}}}}}";
    expect(objectAt(composed(demo(own)).spec, "router", "scheduler", "pool", "spec")).toMatchObject({
      targetPorts: [{ number: 9 }],
      endpointPickerRef: { name: "e", kind: "Service", port: { number: 9002 }, failureMode: "FailOpen" },
      selector: { matchLabels: { "app.kubernetes.io/name": "demo" } },
    });
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

describe("managed devices", () => {
  const annotate = (more: Json = {}): Json => ({ "serving.kserve.io/exp-dra-device-class": "gpu", ...objectAt(more) });
  const claims = (pod: Json | undefined): Json[] =>
    listAt(pod, "resourceClaims").map((claim) => at(claim, "name") ?? null);

  test("are claimed by every pod and used by the server, not by a sidecar", () => {
    const { spec } = composed(demo("{prefill: {}, template: {containers: [{name: side}]}}", annotate()));
    expect(claims(at(spec, "template"))).toEqual(["managed-device"]);
    expect(claims(at(spec, "prefill", "template"))).toEqual(["managed-device"]);
    const users = listAt(spec, "template", "containers").map((item) => listAt(item, "resources", "claims").length);
    expect(users).toEqual([0, 1]);
    expect(listAt(spec, "template", "resourceClaims")).toEqual([
      { name: "managed-device", resourceClaimTemplateName: "demo-managed-dra" },
    ]);
  });

  test("blanks around values do not count, nor does a blank number", () => {
    const more = {
      "serving.kserve.io/exp-dra-device-class": " gpu ",
      "serving.kserve.io/exp-dra-device-count": " ",
      "serving.kserve.io/exp-dra-container-name": " side ",
      "serving.kserve.io/exp-dra-cel-selector": "\n  a == b \n\n",
    };
    expect(managedDevices(more)).toEqual({ deviceClass: "gpu", count: 1, container: "side", selectors: ["a == b"] });
    expect(claims(at(composed(demo("{}", more)).spec, "template"))).toEqual(["managed-device"]);
  });

  test("need a positive number", () => {
    const count = { "serving.kserve.io/exp-dra-device-count": "two" };
    expect(failed(demo("{}", annotate(count))).message).toContain('"two" must be a positive integer');
  });
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
