import type { JsonObject } from "../../crds/schema/types.ts";
import { validateService } from "../../crds/validation.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { compose } from "../composition/compose.ts";
import {
  GLOBAL_CONFIG_NAME,
  type GlobalConfig,
  defaultGlobalConfig,
  parseGlobalConfig,
} from "../composition/global-config.ts";
import { objectAt } from "../../crds/json.ts";
import type { ComposableService, Composition, PresetOptions } from "../composition/types.ts";
import { stringMapOf } from "../json-edit.ts";
import { type ClusterView, asJson } from "./pass.ts";

/** What a service is composed from beside the cluster. */
export interface CompositionOptions {
  readonly systemNamespace: string;
  readonly presets: PresetOptions;
}

/** The effective spec of a service, and the operator's configuration that it was made under. */
export interface ServiceComposition {
  readonly global: GlobalConfig;
  readonly composition: Composition;
}

function unreadable(message: string): Composition {
  return {
    kind: "failed",
    reason: "CombineBaseError",
    message,
    errors: [{ path: "", message }],
    appliedConfigs: [],
    statusAnnotations: {},
    warnings: [],
    missingConfigs: [],
  };
}

function composable(service: KubeObject): ComposableService {
  const { name, namespace = "", labels = {}, annotations = {}, uid } = service.metadata;
  return {
    metadata: { name, namespace, labels, annotations, ...(uid === undefined ? {} : { uid }) },
    spec: objectAt(asJson(service), "spec") ?? {},
    status: { annotations: stringMapOf(objectAt(asJson(service), "status")?.["annotations"]) },
  };
}

function composed(
  service: KubeObject,
  cluster: ClusterView,
  global: GlobalConfig,
  { systemNamespace, presets }: CompositionOptions,
): Composition {
  const { name, namespace = "", annotations = {} } = service.metadata;
  const metadata: JsonObject = { name, namespace, annotations: { ...annotations } };
  return compose({
    service: composable(service),
    systemNamespace,
    presets,
    global,
    findConfig: (configNamespace, configName) => {
      const found = cluster.find(KINDS.LLMInferenceServiceConfig, { namespace: configNamespace, name: configName });
      const spec = objectAt(asJson(found), "spec") ?? {};
      return found && { metadata: { name: configName, namespace: configNamespace }, spec };
    },
    findConfigMap: (mapNamespace, mapName) => {
      const found = asJson(cluster.find(KINDS.ConfigMap, { namespace: mapNamespace, name: mapName }));
      return found && { data: stringMapOf(found["data"]) };
    },
    validate: (spec) => validateService({ metadata, spec }).errors,
  });
}

/**
 * Composes a stored service from what the cluster shows. Where the operator's ConfigMap cannot be read the composition has
 * failed, and the built-in configuration stands in for it.
 */
export function compositionOf(
  service: KubeObject,
  cluster: ClusterView,
  options: CompositionOptions,
): ServiceComposition {
  const { systemNamespace } = options;
  const data = asJson(cluster.find(KINDS.ConfigMap, { namespace: systemNamespace, name: GLOBAL_CONFIG_NAME }))?.[
    "data"
  ];
  const parsed = parseGlobalConfig(data === undefined ? undefined : stringMapOf(data), systemNamespace);
  if (parsed.kind === "invalid")
    return { global: defaultGlobalConfig(systemNamespace), composition: unreadable(parsed.errors.join("; ")) };
  return { global: parsed.config, composition: composed(service, cluster, parsed.config, options) };
}
