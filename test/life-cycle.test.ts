import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { at, sameJson } from "../crds/json.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import { KINDS } from "../kube/resources.ts";
import { type OperatorBed, startBed } from "./operator-bed.ts";
import { ownedObjects } from "./owned-objects.ts";
import { SHAPES } from "./service-shapes.ts";
import { until } from "../playground/until.ts";

const NAMESPACE = "ns-lived";
const FRESH = "ns-fresh";
const USER = { fieldManager: "user" };
const STOP = "serving.kserve.io/stop";
const LIMIT_MS = 120_000;

const key = { namespace: NAMESPACE, name: "a" };

let bed: OperatorBed;

beforeAll(async () => {
  bed = await startBed([NAMESPACE, FRESH]);
  const { apiVersion, kind } = KINDS.Gateway;
  const listeners = [{ name: "http", protocol: "HTTP", port: 80 }];
  const spec = { gatewayClassName: "test", listeners };
  await bed.client.create({ apiVersion, kind, metadata: { namespace: NAMESPACE, name: "other" }, spec }, USER);
  await bed.start();
}, LIMIT_MS);
afterAll(async () => await bed?.close());

const settled = (): Promise<void> => bed.rest();
const create = async (namespace: string, spec: JsonObject): Promise<void> => {
  const { apiVersion, kind } = KINDS.LLMInferenceService;
  await bed.client.create({ apiVersion, kind, metadata: { ...key, namespace }, spec }, USER);
  await settled();
};
const patch = async (body: JsonObject): Promise<void> => {
  await bed.client.patch(KINDS.LLMInferenceService, key, { type: "merge", body }, USER);
  await settled();
};
const switchTo = async (spec: JsonObject): Promise<void> => {
  const live = await bed.client.get(KINDS.LLMInferenceService, key);
  const { labels: _labels, annotations: _annotations, ...metadata } = live.metadata;
  await bed.client.update({ ...live, metadata, spec }, USER);
  await settled();
};
const remove = async (namespace: string): Promise<void> => {
  await bed.client.delete(KINDS.LLMInferenceService, { ...key, namespace });
  await until("nothing is left", async () => (await children(namespace)).size === 0);
};

/** Children of the service by kind and name. */
async function children(namespace: string): Promise<ReadonlyMap<string, Json>> {
  const objects = Object.entries(await ownedObjects(bed.client, namespace));
  const isService = (name: string): boolean => name.startsWith(`${KINDS.LLMInferenceService.kind}.`);
  return new Map(
    objects
      .filter(([name]) => !isService(name))
      .map(([name, object]) => [
        name
          .replace(/\.\S+ /, " ")
          .replace(`${namespace}/`, "")
          .replace(`${namespace}-`, ""),
        JSON.parse(JSON.stringify(object).replaceAll(namespace, "NS"), told) as Json,
      ]),
  );
}

/** Leaves out what is empty once what differs from server to server is left out. */
function told(field: string, value: unknown): unknown {
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return isEmpty && field !== "emptyDir" ? undefined : value;
}

/** Names of children that an action made, changed or removed: `+`, `~` and `-` before them. */
async function effectOf(action: () => Promise<void>): Promise<string[]> {
  const before = await children(NAMESPACE);
  await action();
  const after = await children(NAMESPACE);
  const changes = [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    if (!before.has(name)) return [`+ ${name}`];
    if (!after.has(name)) return [`- ${name}`];
    return sameJson(before.get(name)!, after.get(name)!) ? [] : [`~ ${name}`];
  });
  return changes.sort();
}

/** Of a routed service. */
const CHILDREN = [
  "ClusterRoleBinding a-epp-auth-rb",
  "Deployment a-kserve",
  "Deployment a-kserve-router-scheduler",
  "HTTPRoute a-kserve-route",
  "InferencePool a-inference-pool",
  "Role a-epp-role",
  "RoleBinding a-epp-rb",
  "Secret a-kserve-self-signed-certs",
  "Service a-epp-service",
  "Service a-kserve-workload-svc",
  "ServiceAccount a-epp-sa",
];
const WORKLOAD = ["~ Deployment a-kserve"];
const SCHEDULER = ["~ Deployment a-kserve-router-scheduler"];
const ROUTE = ["~ HTTPRoute a-kserve-route"];

const ROUTED = SHAPES["routed"]!;
const main = (container: JsonObject): JsonObject => ({
  spec: { template: { containers: [{ name: "main", ...container }] } },
});
const scheduler = (fields: JsonObject): JsonObject => ({ spec: { router: { scheduler: fields } } });

const PICKER: JsonObject = {
  apiVersion: "llm-d.ai/v1alpha1",
  kind: "EndpointPickerConfig",
  plugins: [{ type: "queue-scorer" }],
};

/** Edits of one field each, one after the other, and which children they may touch. */
const EDITS: readonly (readonly [name: string, body: JsonObject, effect: readonly string[]])[] = [
  ["replicas", { spec: { replicas: 3 } }, WORKLOAD],
  ["model.name", { spec: { model: { name: "other" } } }, [...WORKLOAD, ...ROUTE]],
  ["model.uri", { spec: { model: { uri: "hf://org/other" } } }, WORKLOAD],
  ["template image", main({ image: "vllm:2" }), WORKLOAD],
  ["template arguments", main({ image: "vllm:2", args: ["--max-model-len=4096"] }), WORKLOAD],
  ["template environment", main({ env: [{ name: "A", value: "1" }] }), WORKLOAD],
  ["template resources", main({ resources: { limits: { "nvidia.com/gpu": "2" } } }), WORKLOAD],
  ["template pod fields", { spec: { template: { nodeSelector: { disk: "ssd" } } } }, WORKLOAD],
  ["labels", { spec: { labels: { team: "x" } } }, [...WORKLOAD, "~ Service a-kserve-workload-svc"]],
  ["annotations", { spec: { annotations: { note: "x" } } }, [...WORKLOAD, "~ Service a-kserve-workload-svc"]],
  ["rolloutStrategy", { spec: { rolloutStrategy: { maxSurge: 0, maxUnavailable: 1 } } }, WORKLOAD],
  ["labels of the object", { metadata: { labels: { "kueue.x-k8s.io/queue-name": "q" } } }, WORKLOAD],
  ["annotations of the object", { metadata: { annotations: { note: "x" } } }, []],
  ["parallelism", { spec: { parallelism: { tensor: 2 } } }, WORKLOAD],
  ["tracing", { spec: { tracing: { exporterEndpoint: "http://otel:4317" } } }, [...WORKLOAD, ...SCHEDULER]],
  ["storageInitializer", { spec: { storageInitializer: { enabled: false } } }, WORKLOAD],
  ["kvCacheOffloading", { spec: { kvCacheOffloading: { cpu: "1Gi" } } }, WORKLOAD],
  ["scheduler replicas", scheduler({ replicas: 2 }), SCHEDULER],
  ["scheduler arguments", scheduler({ template: { containers: [{ name: "main", args: ["--v=4"] }] } }), SCHEDULER],
  ["scheduler configuration", scheduler({ config: { inline: PICKER } }), SCHEDULER],
  ["route", { spec: { router: { route: { http: { spec: { hostnames: ["a.example.com"] } } } } } }, ROUTE],
  ["gateway", { spec: { router: { gateway: { refs: [{ name: "other", namespace: NAMESPACE }] } } } }, ROUTE],
  [
    "scaling",
    {
      spec: {
        replicas: null,
        scaling: {
          maxReplicas: 4,
          keda: { triggers: [{ type: "cpu", metricType: "Utilization", metadata: { value: "60" } }] },
        },
      },
    },
    ["+ ScaledObject a-kserve-keda"],
  ],
];

describe("the life of a service", () => {
  test(
    "each field that is edited changes the children that it is for, and no other",
    async () => {
      await create(NAMESPACE, ROUTED);
      expect([...(await children(NAMESPACE)).keys()].sort()).toEqual(CHILDREN);
      for (const [name, body, effect] of EDITS)
        expect([name, await effectOf(() => patch(body))]).toEqual([name, effect]);
      await remove(NAMESPACE);
    },
    LIMIT_MS,
  );

  test("a number of replicas that is taken back: model servers keep theirs, a scheduler goes back to one unless somebody scaled it", async () => {
    const deployments = { main: "a-kserve", prefill: "a-kserve-prefill", scheduler: "a-kserve-router-scheduler" };
    const numbers = async (): Promise<unknown[]> => {
      const live = Object.values(deployments).map((name) => bed.client.get(KINDS.Deployment, { ...key, name }));
      return (await Promise.all(live)).map((deployment) => at(deployment as unknown as JsonObject, "spec", "replicas"));
    };
    const spec = { ...ROUTED, replicas: 3, prefill: { replicas: 2 } };
    await create(NAMESPACE, spec);
    await patch(scheduler({ replicas: 2 }));
    expect(await numbers()).toEqual([3, 2, 2]);
    await patch({ spec: { replicas: null, prefill: { replicas: null } } });
    await patch(scheduler({ replicas: null }));
    expect(await numbers()).toEqual([3, 2, 1]);
    const byHand = { type: "merge", body: { spec: { replicas: 4 } } } as const;
    const kubectl = { fieldManager: "kubectl", subresource: "scale" };
    for (const name of Object.values(deployments))
      await bed.client.patch(KINDS.Deployment, { ...key, name }, byHand, kubectl);
    await settled();
    await patch(main({ image: "vllm:3" }));
    await patch(scheduler({ template: { containers: [{ name: "main", args: ["--v=4"] }] } }));
    expect(await numbers()).toEqual([4, 4, 4]);
    await patch(scheduler({ replicas: 2 }));
    expect(await numbers()).toEqual([4, 4, 2]);
    await remove(NAMESPACE);
  }, 60_000);

  test("scale, stop and start", async () => {
    await create(NAMESPACE, ROUTED);
    const replicas = { type: "merge", body: { spec: { replicas: 5 } } } as const;
    const scaled = await effectOf(async () => {
      await bed.client.patch(KINDS.LLMInferenceService, key, replicas, { subresource: "scale" });
      await settled();
    });
    expect(scaled).toEqual(["~ Deployment a-kserve"]);
    const before = await children(NAMESPACE);
    expect(await effectOf(() => patch({ metadata: { annotations: { [STOP]: "true" } } }))).toEqual(
      CHILDREN.map((name) => `- ${name}`),
    );
    await patch({ metadata: { annotations: { [STOP]: null } } });
    expect(await children(NAMESPACE)).toEqual(before);
  });

  test(
    "a service that is switched to another topology has the children of one that was made with it",
    async () => {
      const resized: string[] = [];
      for (const [shape, spec] of [...Object.entries(SHAPES), ["routed", ROUTED] as const]) {
        await switchTo(spec).catch(async (error: unknown) => {
          expect(String(error)).toMatch(/number of pods of an instance cannot change/);
          resized.push(shape);
          await remove(NAMESPACE);
          await create(NAMESPACE, spec);
        });
        await create(FRESH, spec);
        expect([shape, await children(NAMESPACE)]).toEqual([shape, await children(FRESH)]);
        await remove(FRESH);
      }
      expect(resized).toEqual(["groups", "tokenizer"]);
    },
    LIMIT_MS,
  );

  test("delete leaves nothing", async () => {
    await remove(NAMESPACE);
  });
});
