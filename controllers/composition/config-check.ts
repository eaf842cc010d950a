import type { JsonObject } from "../../crds/schema/types.ts";
import type { GlobalConfig } from "./global-config.ts";
import { LayerError, mergeLayers } from "./merge.ts";
import { renderSpec } from "./render.ts";
import { templateData } from "./template-data.ts";
import type { CompositionError } from "./types.ts";

const CONTAINER: JsonObject = { containers: [{ name: "main" }] };
const METADATA = { name: "test-llm-preset", namespace: "test-llm-preset-test", labels: {}, annotations: {} };

/**
 * The service that configs are tried on (KServe v0.20): it has what most services have. Tracing, KV-cache offloading, scaling
 * and LoRA are not set, so that a template that reads them has to guard the access.
 */
const SAMPLE: JsonObject = {
  model: { uri: "llama", name: "llama" },
  replicas: 2,
  parallelism: { data: 4, dataLocal: 2, tensor: 1, expert: true },
  template: CONTAINER,
  worker: CONTAINER,
  prefill: { replicas: 1, parallelism: { tensor: 1, pipeline: 1 }, template: CONTAINER },
  router: {
    route: { http: { refs: [{ name: "route" }] } },
    gateway: { refs: [{ name: "gateway", namespace: METADATA.namespace }] },
    scheduler: { pool: { ref: { name: "pool" } }, template: CONTAINER },
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
