import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { FAULTS, type FaultId } from "../../controllers/status/faults.ts";
import { describeWithKubectl } from "./kubectl.ts";
import { type KubeJson, type TestPlayground, apply, condition, startPlayground } from "./playground.ts";
import { until } from "../../playground/until.ts";

const MODEL = { uri: "hf://facebook/opt-125m" };

interface Case {
  readonly name: string;
  readonly fault: FaultId;
  readonly spec: Readonly<Record<string, unknown>>;
  /** What the first line of the object has to say. */
  readonly words: readonly string[];
}

const main = (container: Readonly<Record<string, unknown>>) => ({ containers: [{ name: "main", ...container }] });
const script = (text: string) => ({ template: main({ command: ["sh", "-c", text], args: [] }) });
const fromSecret = { name: "TOKEN", valueFrom: { secretKeyRef: { name: "absent", key: "token" } } };
const fromConfigMap = { name: "MODE", valueFrom: { configMapKeyRef: { name: "absent", key: "mode" } } };

const CASES: readonly Case[] = [
  {
    name: "env-secret",
    fault: "secret-missing",
    spec: { template: main({ env: [fromSecret] }) },
    words: ['Secret "absent"'],
  },
  {
    name: "env-config-map",
    fault: "config-map-missing",
    spec: { template: main({ env: [fromConfigMap] }) },
    words: ['ConfigMap "absent"'],
  },
  {
    name: "volume-secret",
    fault: "secret-missing",
    spec: { template: { ...main({}), volumes: [{ name: "token", secret: { secretName: "absent" } }] } },
    words: ['Secret "absent"', "mounts"],
  },
  {
    name: "no-program",
    fault: "container-config",
    spec: { template: main({ command: ["nonesuch"] }) },
    words: ["nonesuch"],
  },
  {
    name: "crash",
    fault: "crash-loop",
    spec: script("echo 'ValueError: too large' >&2; exit 3"),
    words: ["ValueError: too large", "exit code 3"],
  },
  {
    name: "no-model",
    fault: "model-not-found",
    spec: script("echo 'RepositoryNotFoundError: 404 Client Error' >&2; exit 1"),
    words: ["404 Client Error"],
  },
  {
    name: "no-gpu-memory",
    fault: "accelerator-memory",
    spec: script("echo 'torch.OutOfMemoryError: CUDA out of memory' >&2; exit 1"),
    words: ["CUDA out of memory"],
  },
  {
    name: "wrong-port",
    fault: "port-refused",
    spec: { template: main({ readinessProbe: { httpGet: { path: "/health", port: 8001 } } }) },
    words: ["port 8001"],
  },
  {
    name: "no-account",
    fault: "service-account-missing",
    spec: { template: { ...main({}), serviceAccountName: "nobody" } },
    words: ["default/nobody"],
  },
  {
    name: "no-gateway",
    fault: "gateway-missing",
    spec: { router: { gateway: { refs: [{ name: "nope" }] }, route: {} } },
    words: ["Gateway default/nope"],
  },
  {
    name: "no-route",
    fault: "route-missing",
    spec: { router: { route: { http: { refs: [{ name: "nope" }] } } } },
    words: ["HTTPRoute default/nope"],
  },
  {
    name: "no-pool",
    fault: "pool-missing",
    spec: { router: { route: {}, scheduler: { pool: { ref: { name: "nope" } } } } },
    words: ["default/nope"],
  },
  { name: "no-config", fault: "config-missing", spec: { baseRefs: [{ name: "nope" }] }, words: ['"nope"'] },
  {
    name: "no-keda",
    fault: "keda-missing",
    spec: { replicas: undefined, scaling: { maxReplicas: 2, keda: { triggers: [{ type: "cron", metadata: {} }] } } },
    words: ["keda.sh/v1alpha1"],
  },
  {
    name: "bad-flag",
    fault: "crash-loop",
    spec: {
      router: { route: {}, gateway: {}, scheduler: { template: main({ args: ["--no-such-flag=1"] }) } },
    },
    words: ["no-such-flag"],
  },
  { name: "in-the-way", fault: "foreign-object", spec: {}, words: ["in-the-way-kserve-workload-svc"] },
];

const manifest = ({ name, spec }: Case): string =>
  JSON.stringify({
    apiVersion: "serving.kserve.io/v1alpha2",
    kind: "LLMInferenceService",
    metadata: { name },
    spec: { model: { ...MODEL, name }, replicas: 1, ...spec },
  });

/** Somebody else's Service under the name that one of the services needs. */
const IN_THE_WAY = JSON.stringify({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "in-the-way-kserve-workload-svc" },
  spec: { selector: { app: "theirs" }, ports: [{ port: 80 }] },
});

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const names = (service: KubeJson, { fault, words }: Case): boolean => {
  const ready = condition(service, "Ready");
  const message = textOf(ready?.["message"]);
  const reasons: readonly string[] = FAULTS[fault].reasons;
  return reasons.includes(textOf(ready?.["reason"])) && words.every((word) => message.includes(word));
};

describeWithKubectl("a fault is named on the object", () => {
  let playground: TestPlayground;

  beforeAll(async () => {
    playground = await startPlayground();
    await playground.kubectl("delete", "crd", "scaledobjects.keda.sh", "--ignore-not-found");
    await apply(playground, IN_THE_WAY);
    for (const fault of CASES) await apply(playground, manifest(fault));
  }, 120_000);
  afterAll(async () => await playground?.stop(), 60_000);

  test.each(CASES)("$name: $fault", async (fault) => {
    let last = "";
    await until(
      `${fault.name} names its cause`,
      async () => {
        const service = await playground.get("llminferenceservice", fault.name);
        last = JSON.stringify(condition(service, "Ready"));
        return names(service, fault) ? true : undefined;
      },
      { timeoutMs: 30_000 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${last}`);
    });
  });

  test("no fault floods the user with Events", async () => {
    const events = await playground.list("events");
    const ours = events.filter(
      (event) => Reflect.get(Object(event["source"]), "component") === "LLMInferenceServiceController",
    );
    for (const { name } of CASES)
      expect(ours.filter((event) => Reflect.get(Object(event["involvedObject"]), "name") === name).length).toBeLessThan(
        8,
      );
  });
});
