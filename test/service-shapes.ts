import type { JsonObject } from "../crds/schema/types.ts";

const MODEL: JsonObject = { uri: "hf://meta-llama/Llama-3.1-8B-Instruct", name: "llama" };
const ROUTER: JsonObject = { gateway: {}, route: {}, scheduler: {} };
const WORKER: JsonObject = { containers: [{ name: "main", image: "vllm:1" }] };
const GROUPS: JsonObject = { parallelism: { data: 4, dataLocal: 1, tensor: 1 }, worker: WORKER };
const TRIGGER: JsonObject = { type: "cpu", metricType: "Utilization", metadata: { value: "60" } };

/** Every topology that a service can have, by name: together they make every kind of child. */
export const SHAPES: Readonly<Record<string, JsonObject>> = {
  plain: { replicas: 1, model: MODEL },
  stoppedAtZero: { replicas: 0, model: MODEL },
  pvc: { replicas: 2, model: { uri: "pvc://models/llama", name: "llama" } },
  routed: { replicas: 1, model: MODEL, router: ROUTER },
  unscheduled: { replicas: 1, model: MODEL, router: { gateway: {}, route: {} } },
  scheduledOnly: { replicas: 1, model: MODEL, router: { scheduler: {} } },
  prefill: { replicas: 1, model: MODEL, prefill: { replicas: 2 }, router: ROUTER },
  groups: { replicas: 1, model: MODEL, ...GROUPS, router: ROUTER },
  groupsWithPrefill: { replicas: 1, model: MODEL, ...GROUPS, prefill: { replicas: 1, ...GROUPS }, router: ROUTER },
  tokenizer: { replicas: 1, model: MODEL, router: { ...ROUTER, scheduler: { tokenizer: {} } } },
  podAutoscaler: { model: MODEL, scaling: { minReplicas: 1, maxReplicas: 4, wva: { hpa: {} } } },
  keda: { model: MODEL, scaling: { minReplicas: 1, maxReplicas: 4, keda: { triggers: [TRIGGER] } } },
  lora: {
    replicas: 1,
    model: { ...MODEL, lora: { adapters: [{ uri: "hf://org/adapter", name: "adapter" }] } },
    router: ROUTER,
  },
};
