import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { bare, exampleCluster, run } from "../../test/examples.ts";
import { coreKinds } from "../../crds/core.ts";
import { objectAt, textAt } from "../../crds/json.ts";
import { createStructural } from "../../crds/schema/structural.ts";
import { formatFieldError } from "../../crds/schema/types.ts";
import { childrenOf } from "../../test/settled.ts";
import { objectsOf } from "../json-edit.ts";
import type { ObjectView } from "../preview/object-view.ts";
import { asJson } from "./pass.ts";

const PODS = { containers: [{ name: "main" }] };
const GROUPS = { parallelism: { data: 4, dataLocal: 2 }, template: PODS, worker: PODS };
const PIPELINE = { parallelism: { pipeline: 2 }, template: PODS, worker: PODS };
const TRIGGER = { type: "cron", metadata: { desiredReplicas: "1" } };
const PRECISE = { plugins: [{ type: "precise-prefix-cache-scorer" }] };

/** Independent choices, each of which changes what children a service has. */
const MAIN: readonly JsonObject[] = [
  {},
  GROUPS,
  PIPELINE,
  { replicas: 2 },
  { template: { serviceAccountName: "own", ...PODS } },
];
const PREFILL: readonly JsonObject[] = [
  {},
  { prefill: {} },
  { prefill: { replicas: 3 } },
  { prefill: GROUPS },
  { prefill: { scaling: { maxReplicas: 2, keda: { triggers: [TRIGGER] } } } },
];
const ROUTER: readonly JsonObject[] = [
  {},
  { router: { scheduler: {}, route: {}, gateway: {} } },
  { router: { route: {}, gateway: {} } },
  { router: { scheduler: { pool: { ref: { name: "theirs" } } }, route: {} } },
  { router: { scheduler: { config: { inline: PRECISE } }, route: {} } },
  { router: { scheduler: { template: { serviceAccountName: "own", containers: [] } }, route: {} } },
];
const MODEL: readonly JsonObject[] = [
  { model: { uri: "hf://a/b" } },
  { model: { uri: "pvc://c/p" } },
  { model: { uri: "oci://r/i:1" } },
  { model: { uri: "hf://a/b", lora: { adapters: [{ name: "x", uri: "hf://a/x" }] } } },
];
const SCALING: readonly JsonObject[] = [
  {},
  { scaling: { maxReplicas: 2, wva: { hpa: {} } } },
  { scaling: { maxReplicas: 2, keda: { triggers: [TRIGGER], idleReplicaCount: 0 } } },
];
const ANNOTATIONS: readonly Readonly<Record<string, string>>[] = [
  {},
  {},
  { "serving.kserve.io/stop": "true" },
  { "serving.kserve.io/exp-dra-device-class": "gpu" },
];

interface State {
  readonly spec: JsonObject;
  readonly annotations: Readonly<Record<string, string>>;
  readonly tls: boolean;
}

const state: fc.Arbitrary<State> = fc
  .tuple(
    fc.constantFrom(...MAIN),
    fc.constantFrom(...PREFILL),
    fc.constantFrom(...ROUTER),
    fc.constantFrom(...MODEL),
    fc.constantFrom(...SCALING),
    fc.constantFrom(...ANNOTATIONS),
    fc.boolean(),
  )
  .map(([main, prefill, router, model, scaling, annotations, tls]) => {
    const spec: JsonObject = { ...model, ...main, ...prefill, ...router, ...scaling };
    if (spec["scaling"] !== undefined) delete spec["replicas"];
    return { spec, annotations, tls };
  });

const TLS = {
  ingress: {
    ingressGateway: "a/b",
    kserveIngressGateway: "kserve/kserve-ingress-gateway",
    enableLLMInferenceServiceTLS: true,
  },
};

function cluster(): ObjectView {
  const pool = { ...bare(KINDS.InferencePool, "ns1", "theirs"), spec: { endpointPickerRef: { name: "p" } } };
  return exampleCluster("ns1", [bare(KINDS.ServiceAccount, "ns1", "own"), pool as KubeObject]);
}

function reach({ spec, annotations, tls }: State, from: ObjectView): void {
  run({ name: "s", spec, annotations, cluster: from, ...(tls ? { global: TLS } : {}) });
}

const isOwned = ({ metadata }: KubeObject): boolean =>
  (metadata.ownerReferences ?? []).length > 0 || metadata.name.endsWith("-epp-auth-rb");

/** The service's objects, without what may stay from before: an immutable selector, a number of replicas nobody states. */
/** A pod runs as the account `default` where nothing is said: to say it changes nothing. */
const silentAccount = (key: string, value: unknown): unknown =>
  /^serviceAccount(Name)?$/.test(key) && value === "default" ? undefined : value;

function owned(view: ObjectView): Readonly<Record<string, unknown>> {
  const entries = view.objects.filter(isOwned).map((object) => {
    const json = JSON.parse(JSON.stringify(asJson(object) ?? {}, silentAccount)) as JsonObject;
    const { selector: _immutable, replicas: _kept, ...spec } = objectAt(json, "spec") ?? {};
    const isWorkload = object.kind === "Deployment" || object.kind === "LeaderWorkerSet";
    return [`${object.kind} ${object.metadata.name}`, isWorkload ? { ...json, spec } : json] as const;
  });
  return Object.fromEntries(entries.sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** Further choices, which change what is in the children. */
const MORE: readonly JsonObject[] = [
  {},
  { tracing: {} },
  { kvCacheOffloading: { cpu: "1Gi", secondary: [{}, { fileSystem: { emptyDir: { size: "1Gi" } } }] } },
  { model: { uri: "oci+native://r/i:1", lora: { adapters: [{ name: "A_b/c", uri: "pvc://c" }] } } },
  { model: { uri: "s3://b/k", confidential: { enabled: true } }, storageInitializer: {} },
  { template: { initContainers: [{ name: "storage-initializer", env: [{ name: "HF_HOME", value: "/x" }] }] } },
];

const SCHEMAS = new Map(
  coreKinds().map(({ apiVersion, kind, schema }) => [`${apiVersion}/${kind}`, createStructural(schema)] as const),
);

/** Names of elements that are there twice, or that no volume has. */
function podProblems(pod: JsonObject): readonly string[] {
  const containers = [...objectsOf(pod["containers"]), ...objectsOf(pod["initContainers"])];
  const volumes = objectsOf(pod["volumes"]).map((volume) => textAt(volume, "name"));
  const twice = (list: readonly (string | undefined)[]): string[] =>
    list.flatMap((item, index) => (list.indexOf(item) === index ? [] : [`${item} twice`]));
  const mounts = (container: JsonObject): readonly JsonObject[] => objectsOf(container["volumeMounts"]);
  return [
    ...twice(volumes),
    ...twice(containers.map((container) => textAt(container, "name"))),
    ...containers.flatMap((container) => [
      ...twice(objectsOf(container["env"]).map((variable) => textAt(variable, "name"))),
      ...twice(mounts(container).map((mount) => textAt(mount, "mountPath"))),
      ...mounts(container).flatMap((mount) =>
        volumes.includes(textAt(mount, "name")) ? [] : [`no ${textAt(mount, "name") ?? ""}`],
      ),
      ...(textAt(container, "image") === undefined ? [`${textAt(container, "name") ?? ""} without image`] : []),
    ]),
  ];
}

/** Why an API server would not take a child. */
function problemsOf(child: JsonObject): readonly string[] {
  const copy = JSON.parse(JSON.stringify(child)) as JsonObject;
  const schema = SCHEMAS.get(`${textAt(child, "apiVersion")}/${textAt(child, "kind")}`);
  const group = objectAt(child, "spec", "leaderWorkerTemplate");
  const pods = [
    objectAt(child, "spec", "template", "spec"),
    objectAt(group, "leaderTemplate", "spec"),
    objectAt(group, "workerTemplate", "spec"),
  ];
  const found = [
    ...(schema?.validate(copy).map(formatFieldError) ?? []),
    ...pods.flatMap((pod) => (pod === undefined ? [] : podProblems(pod))),
  ];
  return found.map((text) => `${textAt(child, "kind")} ${textAt(child, "metadata", "name")}: ${text}`);
}

describe("every shape of a service", () => {
  test("has children that an API server takes", () => {
    fc.assert(
      fc.property(state, fc.constantFrom(...MORE), fc.constantFrom("s", "7b.v1"), ({ spec, tls }, more, name) => {
        const example = { name, spec: { ...spec, ...more }, cluster: cluster(), ...(tls ? { global: TLS } : {}) };
        expect(childrenOf(run(example).settled).flatMap(problemsOf)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});

describe("changes of a service's shape", () => {
  test("whatever came before, a service ends with the objects of its last spec, and no others", () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 2, maxLength: 5 }), (states) => {
        const [lived, fresh] = [cluster(), cluster()];
        for (const step of states) reach(step, lived);
        const last = states.at(-1);
        if (last !== undefined) reach(last, fresh);
        expect(owned(lived)).toEqual(owned(fresh));
      }),
      { numRuns: 15 },
    );
  });
});
