import type { JsonObject } from "../../crds/schema/types.ts";
import type { GlobalConfig } from "./global-config.ts";
import { LayerError, mergeLayers } from "./merge.ts";
import { renderSpec } from "./render.ts";
import { templateData } from "./template-data.ts";
import type { CompositionError } from "./types.ts";

const POD: JsonObject = {
  containers: [{ name: "kserve-container", image: "image", ports: [{ containerPort: 8000, protocol: "TCP" }] }],
};
const METADATA = {
  name: "test-llm-preset",
  namespace: "test-llm-preset-test",
  labels: {
    "app.kubernetes.io/name": "test-llm-preset",
    "app.kubernetes.io/instance": "test-llm-preset",
    "app.kubernetes.io/component": "inference",
  },
  annotations: { "serving.kserve.io/model-uri": "llama" },
};

/**
 * The service that configs are tried on (KServe v0.20): it has what most services have. Tracing, KV-cache offloading, scaling
 * and LoRA are not set, so that a template that reads them has to guard the access.
 */
const SAMPLE: JsonObject = {
  model: { uri: "llama", name: "llama" },
  replicas: 2,
  parallelism: { data: 4, dataLocal: 2, tensor: 1, expert: true },
  template: POD,
  worker: POD,
  prefill: { replicas: 1, parallelism: { tensor: 1, pipeline: 1 }, template: POD },
  router: {
    route: { http: { refs: [{ name: "route" }] } },
    gateway: { refs: [{ name: "gateway", namespace: METADATA.namespace }] },
    scheduler: { pool: { ref: { name: "pool" } }, template: POD },
  },
};

/**
 * Tries the templates of a config on a sample service, as admission does: everything that cannot be parsed or executed, with
 * the field (`spec.template.containers[0].image`).
 */
export function checkConfig(
  spec: JsonObject,
  systemNamespace: string,
  global: GlobalConfig,
): readonly CompositionError[] {
  try {
    const merged = mergeLayers([
      { label: "sample", spec: SAMPLE },
      { label: "config", spec },
    ]);
    const inferencePool = `${METADATA.namespace}/pool`;
    return renderSpec(spec, templateData(METADATA, merged, { systemNamespace, global, inferencePool }), []).errors;
  } catch (error) {
    if (error instanceof LayerError) return [{ path: error.path, message: error.message }];
    throw error;
  }
}
