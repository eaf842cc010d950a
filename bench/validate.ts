import { createStructurals } from "../crds/check.ts";
import { applyServiceDefaults } from "../crds/defaults.ts";
import { createRuleEngine } from "../crds/schema/rules.ts";
import type { JsonObject } from "../crds/schema/types.ts";
import { defaultGlobalConfig } from "../controllers/composition/global-config.ts";
import { checkManifest } from "../controllers/webhooks/check.ts";
import { parseQuantity } from "../kube/quantity.ts";
import { parseYaml } from "../kube/yaml.ts";
import { type Bench, cpuMs, printTable, readOptions } from "./support/bench.ts";

const SERVICE = parseYaml(`
apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata:
  name: llama
  namespace: default
  labels: {team: a}
spec:
  model: {uri: "hf://meta-llama/Llama-3.1-8B-Instruct", name: llama}
  replicas: 3
  router: {route: {}, gateway: {}, scheduler: {}}
  template:
    containers:
    - name: main
      image: vllm/vllm-openai:v0.11.0
      env:
      - {name: VLLM_LOGGING_LEVEL, value: INFO}
      - {name: HF_TOKEN, valueFrom: {secretKeyRef: {name: hf, key: token}}}
      resources:
        limits: {cpu: "8", memory: 64Gi, nvidia.com/gpu: "1"}
        requests: {cpu: "4", memory: 32Gi, nvidia.com/gpu: "1"}
      livenessProbe: {httpGet: {path: /health, port: 8000, scheme: HTTPS}, initialDelaySeconds: 120, periodSeconds: 30}
      volumeMounts: [{name: cache, mountPath: /cache}]
    volumes: [{name: cache, emptyDir: {sizeLimit: 10Gi}}]
`) as JsonObject;

const structural = createStructurals(createRuleEngine(parseQuantity))(SERVICE)!;
const context = { systemNamespace: "kserve", global: () => defaultGlobalConfig("kserve") };

const UPDATED: JsonObject = { ...SERVICE, spec: { ...(SERVICE["spec"] as JsonObject), replicas: 2 } };

const WORK: Readonly<Record<string, () => unknown>> = {
  "schema and rules": () => structural.validate(SERVICE),
  "schema and rules, on an update": () => structural.validate(SERVICE, UPDATED),
  "prune and default a copy": () => {
    const copy = structuredClone(SERVICE);
    structural.prune(copy);
    structural.applyDefaults(copy);
  },
  "whole admission check": () => checkManifest(applyServiceDefaults(SERVICE), undefined, context),
};

const ROUNDS = 7;

/** CPU time of one run in µs: the best of some rounds, since the machine is shared. */
function microseconds(run: () => unknown, times: number): number {
  const all = (): void => {
    for (let index = 0; index < times; index++) run();
  };
  return (Math.min(...Array.from({ length: ROUNDS }, () => cpuMs(all))) * 1000) / times;
}

const bench: Bench = {
  description: "CPU time of checking an ordinary service: schema, update, admission (--runs=2000)",
  smallest: ["--runs=10"],
  run: async (args) => {
    const times = Number(readOptions(args, { runs: "2000" }).runs);
    const rows = Object.entries(WORK).map(([name, run]) => [name, microseconds(run, times).toFixed(1)]);
    printTable([["work", "µs"], ...rows]);
  },
};

export default bench;
