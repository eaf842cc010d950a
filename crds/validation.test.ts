import { describe, expect, test } from "@jest/globals";
import { parseYaml } from "../kube/yaml.ts";
import type { JsonObject } from "./schema/types.ts";
import { validateConfig, validateService } from "./validation.ts";
import { urlProblem } from "./validation/url.ts";

const MODEL = "model: {uri: 'hf://a/b'}";
const DRA = "serving.kserve.io/exp-dra-";

/** A service of that spec, to which an ordinary model is added where it names none. */
function service(spec: string, annotations: JsonObject = {}): JsonObject {
  const own = parseYaml(spec) as JsonObject;
  return { metadata: { name: "s", annotations }, spec: { ...(parseYaml(`{${MODEL}}`) as JsonObject), ...own } };
}

const told = ({ errors }: ReturnType<typeof validateService>): string[] =>
  errors.map(({ path, kind }) => `${path} ${kind}`);

/** Rule of KServe's webhook, spec, and the errors as path and kind. */
const RULES: readonly (readonly [rule: string, spec: string, ...errors: string[]])[] = [
  ["an ordinary service", "{replicas: 2, router: {route: {}, gateway: {}, scheduler: {}}}"],
  ["S1", "{router: {route: {http: {refs: [{name: r}], spec: {}}}}}", "spec.router.route.http Invalid"],
  ["S2", "{router: {gateway: {}, route: {http: {refs: [{name: r}]}}}}", "spec.router.route.http.refs Invalid"],
  ["S2 with gateways", "{router: {gateway: {refs: [{name: g}]}, route: {http: {refs: [{name: r}]}}}}"],
  [
    "S3",
    "{router: {gateway: {refs: [{name: g}]}, route: {http: {spec: {parentRefs: [{name: h}]}}}}}",
    "spec.router.route.http.spec Invalid",
  ],
  [
    "S3: no namespace is not the own one",
    "{router: {gateway: {refs: [{name: g}]}, route: {http: {spec: {parentRefs: [{name: g, namespace: ns}]}}}}}",
    "spec.router.route.http.spec Invalid",
  ],
  [
    "S3 in another order",
    "{router: {gateway: {refs: [{name: g, sectionName: a}, {name: h}]}, route: {http: {spec: {parentRefs: [{name: h, port: 1}, {name: g, sectionName: a}]}}}}}",
  ],
  ["S4", "{router: {ingress: {}, route: {weight: 1}}}", "spec.router.route.group Invalid"],
  ["S5: no group", "{router: {route: {weight: 0}}}", "spec.router.route.group Required"],
  ["S5: no weight", "{router: {route: {group: g}}}", "spec.router.route.weight Required"],
  ["S6", "{router: {route: {group: g, weight: 1, http: {refs: [{name: r}]}}}}", "spec.router.route.group Invalid"],
  ["P1", "{worker: {}}", "spec.worker Invalid"],
  ["P1 with tensor alone", "{prefill: {worker: {}, parallelism: {tensor: 2}}}", "spec.prefill.worker Invalid"],
  ["P2", "{parallelism: {data: 2, dataLocal: 1, pipeline: 2}}", "spec.parallelism Invalid"],
  ["P3", "{parallelism: {data: 2}}", "spec.parallelism.dataLocal Invalid"],
  ["P3 reversed", "{prefill: {parallelism: {dataLocal: 2}}}", "spec.prefill.parallelism.data Invalid"],
  [
    "P4",
    "{parallelism: {pipeline: 0}, prefill: {parallelism: {data: -1, dataLocal: 0}}}",
    "spec.parallelism.pipeline Invalid",
    "spec.prefill.parallelism.data Invalid",
    "spec.prefill.parallelism.dataLocal Invalid",
  ],
  ["C1", "{router: {scheduler: {replicas: 0}}}", "spec.router.scheduler.replicas Invalid"],
  ["C2: neither", "{router: {scheduler: {config: {}}}}", "spec.router.scheduler.config Invalid"],
  [
    "C2: both",
    "{router: {scheduler: {config: {inline: {plugins: []}, ref: {name: c}}}}}",
    "spec.router.scheduler.config Invalid",
  ],
  ["C3", "{router: {scheduler: {config: {inline: {}}}}}", "spec.router.scheduler.config.inline Invalid"],
  ["C4", "{router: {scheduler: {config: {ref: {key: k}}}}}", "spec.router.scheduler.config.ref.name Invalid"],
  ["S7", "{replicas: 0, scaling: {maxReplicas: 2, wva: {hpa: {}}}}", "spec.scaling Invalid"],
  ["S8", "{scaling: {minReplicas: 3, maxReplicas: 2, wva: {hpa: {}}}}", "spec.scaling.minReplicas Invalid"],
  ["S8b: neither", "{prefill: {scaling: {maxReplicas: 2}}}", "spec.prefill.scaling Required"],
  ["S8b: both", "{scaling: {maxReplicas: 2, wva: {hpa: {}}, keda: {triggers: [{}]}}}", "spec.scaling Invalid"],
  ["S8c: neither", "{scaling: {maxReplicas: 2, wva: {}}}", "spec.scaling.wva Required"],
  ["S8c: both", "{scaling: {maxReplicas: 2, wva: {hpa: {}, keda: {}}}}", "spec.scaling.wva Invalid"],
  ["S8d", "{scaling: {maxReplicas: 2, wva: {hpa: {}, variantCost: 1.}}}"],
  [
    "S8d as text",
    "{scaling: {maxReplicas: 2, wva: {hpa: {}, variantCost: '1.'}}}",
    "spec.scaling.wva.variantCost Invalid",
  ],
  [
    "S8e",
    "{scaling: {maxReplicas: 2, wva: {keda: {advanced: {scalingModifiers: {target: '1'}}}}}}",
    "spec.scaling.wva.keda.advanced.scalingModifiers Forbidden",
  ],
  ["S8e: empty", "{scaling: {maxReplicas: 2, wva: {keda: {advanced: {scalingModifiers: {target: ''}}}}}}"],
  [
    "S8f",
    "{scaling: {maxReplicas: 2, keda: {triggers: [{}], advanced: {horizontalPodAutoscalerConfig: {name: h}}}}}",
    "spec.scaling.keda.advanced.horizontalPodAutoscalerConfig.name Forbidden",
  ],
  [
    "S8g: the least number is 1 where it is absent",
    "{scaling: {maxReplicas: 2, wva: {keda: {idleReplicaCount: 1}}}}",
    "spec.scaling.wva.keda.idleReplicaCount Invalid",
  ],
  ["S8g: zero", "{scaling: {maxReplicas: 2, wva: {keda: {idleReplicaCount: 0}}}}"],
  ["S8h", "{scaling: {maxReplicas: 2, keda: {}}}", "spec.scaling.keda.triggers Required"],
  [
    "S9: actuators",
    "{scaling: {maxReplicas: 2, wva: {hpa: {}}}, prefill: {scaling: {maxReplicas: 2, wva: {keda: {}}}}}",
    "spec.prefill.scaling.wva Invalid",
  ],
  [
    "S9: modes",
    "{scaling: {maxReplicas: 2, wva: {hpa: {}}}, prefill: {scaling: {maxReplicas: 2, keda: {triggers: [{}]}}}}",
    "spec.prefill.scaling Invalid",
  ],
  ["S9: one side alone", "{replicas: 1, prefill: {scaling: {maxReplicas: 2, wva: {keda: {}}}}}"],
  [
    "S10",
    "{model: {uri: u, lora: {maxRank: 0, maxAdapters: 0, maxCpuAdapters: -1, adapters: [{uri: 'hf://x'}]}}}",
    "spec.model.lora.maxRank Invalid",
    "spec.model.lora.maxAdapters Invalid",
    "spec.model.lora.maxCpuAdapters Invalid",
    "spec.model.lora.adapters[0].name Required",
  ],
  [
    "S10b",
    "{model: {uri: u, lora: {adapters: [{name: a}, {name: a}, {name: s}, {name: .}, {name: ..}]}}}",
    "spec.model.lora.adapters[1].name Invalid",
    "spec.model.lora.adapters[2].name Invalid",
    "spec.model.lora.adapters[3].name Invalid",
    "spec.model.lora.adapters[4].name Invalid",
  ],
  ["S10b: the base by its own name", "{model: {uri: u, name: m, lora: {adapters: [{name: s}, {name: ...}]}}}"],
  [
    "adapters that are no list",
    "{model: {uri: u, lora: {adapters: {name: a}}}}",
    "spec.model.lora.adapters TypeInvalid",
  ],
  [
    "adapters of another shape",
    "{model: {uri: u, lora: {adapters: [a, {name: 5, uri: [], foo: 1}]}}}",
    "spec.model.lora.adapters[0] TypeInvalid",
    "spec.model.lora.adapters[1].name TypeInvalid",
    "spec.model.lora.adapters[1].uri TypeInvalid",
  ],
  [
    "URIs that are no URLs",
    "{model: {uri: 'oci://a:tag', lora: {adapters: [{name: a, uri: 'hf://%zz'}]}}}",
    "spec.model.uri Invalid",
    "spec.model.lora.adapters[0].uri Invalid",
  ],
  ["S11: nothing to check", "{kvCacheOffloading: {cpu: '0'}}"],
  [
    "S11",
    "{kvCacheOffloading: {cpu: '0', secondary: [{}, {fileSystem: {}}, {fileSystem: {emptyDir: {}, pvc: {spec: {}}}}]}}",
    "spec.kvCacheOffloading.cpu Required",
    "spec.kvCacheOffloading.secondary[0].fileSystem Required",
    "spec.kvCacheOffloading.secondary[1].fileSystem Required",
    "spec.kvCacheOffloading.secondary[2].fileSystem Invalid",
  ],
  [
    "S11: claims",
    "{prefill: {kvCacheOffloading: {cpu: 1, secondary: [{fileSystem: {pvc: {}}}, {fileSystem: {pvc: {ref: {name: ''}}}}, {fileSystem: {pvc: {ref: {name: a}, spec: {}}}}]}}}",
    "spec.prefill.kvCacheOffloading.secondary[0].fileSystem.pvc Required",
    "spec.prefill.kvCacheOffloading.secondary[1].fileSystem.pvc.ref.name Required",
    "spec.prefill.kvCacheOffloading.secondary[2].fileSystem.pvc Invalid",
  ],
  [
    "S13",
    "{rolloutStrategy: {maxSurge: -1, maxUnavailable: '101%'}, prefill: {rolloutStrategy: {maxSurge: '5'}}}",
    "spec.rolloutStrategy.maxUnavailable Invalid",
    "spec.rolloutStrategy.maxSurge Invalid",
    "spec.prefill.rolloutStrategy.maxSurge Invalid",
  ],
  ["S13b", "{rolloutStrategy: {maxSurge: '0%', maxUnavailable: '99%'}}", "spec.rolloutStrategy Invalid"],
  ["S13b: surge rounds up", "{rolloutStrategy: {maxSurge: '1%', maxUnavailable: 0}}"],
  [
    "S13c",
    "{rolloutStrategy: {maxUnavailable: '99%'}, worker: {}, parallelism: {pipeline: 2}}",
    "spec.rolloutStrategy.maxSurge Required",
  ],
  ["S13c on one node", "{rolloutStrategy: {maxUnavailable: 0}}"],
  [
    "K2",
    "{model: {uri: u, confidential: {enabled: true, resourceId: 'kbs://a'}}}",
    "spec.model.confidential.resourceId Invalid",
  ],
  ["K2 where nothing is encrypted", "{model: {uri: u, confidential: {enabled: false, resourceId: 'kbs://a'}}}"],
  [
    "all at once",
    "{worker: {}, router: {scheduler: {replicas: 0}, route: {group: g}}}",
    "spec.router.route.weight Required",
    "spec.worker Invalid",
    "spec.router.scheduler.replicas Invalid",
  ],
];

describe("what a service's fields say about each other", () => {
  test.each(RULES)("%s: %s", (_rule, spec, ...errors) => {
    expect(told(validateService(service(spec)))).toEqual(errors);
  });

  test.each<[string, JsonObject, string[]]>([
    ["no class", { [`${DRA}device-count`]: "2" }, ["device-class Required"]],
    ["a blank class", { [`${DRA}device-class`]: " " }, ["device-class Invalid"]],
    ["a class that is no name", { [`${DRA}device-class`]: "A_b" }, ["device-class Invalid"]],
    ["a blank number", { [`${DRA}device-class`]: " gpu.nvidia.com ", [`${DRA}device-count`]: " " }, []],
    ["no number", { [`${DRA}device-class`]: "g", [`${DRA}device-count`]: "1.5" }, ["device-count Invalid"]],
    ["zero", { [`${DRA}device-class`]: "g", [`${DRA}device-count`]: "0" }, ["device-count Invalid"]],
    ["a blank selector", { [`${DRA}device-class`]: "g", [`${DRA}cel-selector`]: "\n \n" }, ["cel-selector Invalid"]],
    ["no container", { [`${DRA}device-class`]: "g", [`${DRA}container-name`]: "" }, ["container-name Invalid"]],
  ])("S12: devices with %s", (_what, annotations, errors) => {
    const expected = errors.map((error) => `metadata.annotations[${DRA}${error.replace(" ", "] ")}`);
    expect(told(validateService(service("{}", annotations)))).toEqual(expected);
  });

  test.each([
    ["I1", "{parallelism: {pipeline: 4}}", "{parallelism: {pipeline: 2}}", ["spec.parallelism NotSupported"]],
    ["I1 from nothing", "{parallelism: {data: 8, dataLocal: 4}}", "{}", ["spec.parallelism NotSupported"]],
    ["I1: the same size otherwise", "{parallelism: {data: 5, dataLocal: 2}}", "{parallelism: {pipeline: 2}}", []],
    ["I2", "{prefill: {parallelism: {pipeline: 2}}}", "{prefill: {}}", ["spec.prefill.parallelism NotSupported"]],
    ["I2: prefill is new", "{prefill: {parallelism: {pipeline: 2}}}", "{}", []],
  ])("%s: %s after %s", (_rule, now, before, errors) => {
    expect(told(validateService(service(now), service(before)))).toEqual(errors);
  });

  test("an object that is being deleted passes whatever is in it", () => {
    const leaving = { ...service("{worker: {}}"), metadata: { name: "s", deletionTimestamp: "now" } };
    expect(validateService(leaving, service("{}")).errors).toEqual([]);
  });

  test("v1alpha1 has no use for the same gateways in both places", () => {
    const same = service("{router: {gateway: {refs: [{name: g}]}, route: {http: {spec: {parentRefs: [{name: g}]}}}}}");
    expect(told(validateService(same, undefined, "v1alpha1"))).toEqual(["spec.router.route.http.spec Invalid"]);
    expect(validateService(same, undefined, "v1alpha2")).toMatchObject({
      errors: [],
      warnings: [expect.stringContaining("parentRefs repeats")],
    });
  });

  test.each([
    ["K1", "{model: {uri: 'oci://a/b', confidential: {enabled: true}}}", "spec.model.confidential has no effect"],
    ["an unknown scheme", "{model: {uri: 'ftp://a'}}", "cannot be fetched"],
    ["ranks that are left over", "{parallelism: {data: 5, dataLocal: 2}}", "no multiple of dataLocal"],
    ["an ingress", "{router: {ingress: {}}}", "spec.router.ingress has no effect"],
    [
      "a pool twice",
      "{router: {route: {}, scheduler: {pool: {spec: {}, ref: {name: p}}}}}",
      "no effect beside pool.ref",
    ],
    ["a scheduler that nothing reaches", "{router: {scheduler: {}}}", "gets no requests"],
  ])("a warning about %s", (_what, spec, warning) => {
    const { errors, warnings } = validateService(service(spec));
    expect(errors).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining(warning)]);
  });

  test.each([
    ["qwen2.5", "cannot name a Service"],
    ["7b", "cannot name a Service"],
    ["a".repeat(64), "has 64 characters"],
  ])("a warning about the name %s", (name, warning) => {
    const { warnings } = validateService({ ...service("{}"), metadata: { name } });
    expect(warnings).toEqual([expect.stringContaining(warning)]);
  });

  test.each(["hf", "s3", "gs", "ms", "https", "pvc", "oci", "oci+native"])("no warning about %s://", (scheme) => {
    expect(validateService(service(`{model: {uri: '${scheme}://a/b'}}`)).warnings).toEqual([]);
  });
});

describe("what a config may not say", () => {
  test.each([
    ["F1", "{baseRefs: [{name: a}]}", ["spec.baseRefs Forbidden"]],
    ["F2", "{router: {scheduler: {replicas: 0}}}", ["spec.router.scheduler.replicas Invalid"]],
    ["a template as URI", "{model: {uri: 'hf://{{ .Name }}'}}", []],
    ["a URI that is no URL", "{model: {uri: 'hf://%zz'}}", ["spec.model.uri Invalid"]],
    ["combinations that only a service is refused for", "{worker: {}, replicas: 1, scaling: {}}", []],
  ])("%s", (_rule, spec, errors) => {
    expect(told(validateConfig({ metadata: { name: "c" }, spec: parseYaml(spec) as JsonObject }))).toEqual(errors);
  });
});

test.each([
  ["hf://org/model:revision", true],
  ["oci://quay.io/org/image:tag", true],
  ["oci://registry:5000/image@sha256:abc", true],
  ["https://user:pw@host/a b", true],
  ["hf://a/b?x=%zz", true],
  ["a/b", true],
  ["", true],
  ["oci://image:tag", false],
  ["hf://a b/c", false],
  ["hf://a/%2", false],
  ["hf://a/b#%2", false],
  ["hf://%20/", false],
  ["hf://a\tb", false],
  ["1a://b", false],
  ["://a", false],
  ["s3://[::1", false],
])("%j is a URL to Go: %s", (text, expected) => expect(urlProblem(text) === undefined).toBe(expected));
