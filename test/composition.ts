import { compose } from "../controllers/composition/compose.ts";
import { wellKnownConfigs } from "../controllers/composition/presets.ts";
import { defaultGlobalConfig } from "../controllers/composition/global-config.ts";
import { isObject, objectAt, textAt } from "../crds/json.ts";
import type {
  ComposableService,
  ComposeInput,
  Composed,
  CompositionFailure,
  ConfigData,
  ServiceConfig,
} from "../controllers/composition/types.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import type { KubeObject } from "../kube/types.ts";
import { parseYaml } from "../kube/yaml.ts";

/** Namespace of the operator in tests. */
export const SYSTEM_NAMESPACE = "kserve";

function stringMap(value: Json | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(isObject(value) ? value : {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
}

/** A manifest as a service of that namespace, whatever namespace it names. */
export function serviceOf(manifest: Json, namespace: string): ComposableService {
  const metadata = objectAt(manifest, "metadata");
  return {
    metadata: {
      name: textAt(metadata, "name") ?? "",
      namespace,
      labels: stringMap(metadata?.["labels"]),
      annotations: stringMap(metadata?.["annotations"]),
    },
    spec: objectAt(manifest, "spec") ?? {},
  };
}

/** A manifest as a config of that namespace. */
export function configOf(manifest: Json, namespace: string): ServiceConfig {
  const name = textAt(manifest, "metadata", "name") ?? "";
  return { metadata: { name, namespace }, spec: objectAt(manifest, "spec") ?? {} };
}

const asJson = (object: KubeObject): JsonObject => JSON.parse(JSON.stringify(object)) as JsonObject;

const PRESETS: readonly ServiceConfig[] = wellKnownConfigs({ namespace: SYSTEM_NAMESPACE }).map((config) =>
  configOf(asJson(config), SYSTEM_NAMESPACE),
);

/** What a test changes in a cluster that has only the presets. */
export interface ComposeCluster {
  readonly configs?: readonly ServiceConfig[];
  /** By `namespace/name`. */
  readonly configMaps?: Readonly<Record<string, ConfigData>>;
  readonly options?: Partial<ComposeInput>;
}

/** Input of `compose` for a service in a cluster with the presets, these configs and these ConfigMaps. */
export function composeInput(service: ComposableService, cluster: ComposeCluster = {}): ComposeInput {
  const configs = new Map(
    [...PRESETS, ...(cluster.configs ?? [])].map(
      (config) => [`${config.metadata.namespace}/${config.metadata.name}`, config] as const,
    ),
  );
  return {
    service,
    systemNamespace: SYSTEM_NAMESPACE,
    presets: { prefix: "kserve-", pinned: true },
    global: defaultGlobalConfig(SYSTEM_NAMESPACE),
    findConfig: (namespace, name) => configs.get(`${namespace}/${name}`),
    findConfigMap: (namespace, name) => cluster.configMaps?.[`${namespace}/${name}`],
    ...cluster.options,
  };
}

const NAMESPACE = "ns1";

/** A service `demo` in `ns1` of that spec (YAML). */
export const demo = (spec: string, annotations: Json = {}): Json => ({
  metadata: { name: "demo", annotations },
  spec: { model: { uri: "hf://a/b", name: "demo" }, ...objectAt(parseYaml(spec)) },
});

/** A config of that spec (YAML). */
export const config = (name: string, spec: string, namespace = NAMESPACE): ServiceConfig =>
  configOf({ metadata: { name }, spec: parseYaml(spec) }, namespace);

/** What a manifest comes to in `ns1`. Throws where it does not compose. */
export function composed(manifest: Json, cluster: ComposeCluster = {}): Composed {
  const result = compose(composeInput(serviceOf(manifest, NAMESPACE), cluster));
  if (result.kind === "failed") throw new Error(result.message);
  return result;
}

/** Why a manifest does not compose in `ns1`. Throws where it does. */
export function failed(manifest: Json, cluster: ComposeCluster = {}): CompositionFailure {
  const result = compose(composeInput(serviceOf(manifest, NAMESPACE), cluster));
  if (result.kind === "composed") throw new Error("composed");
  return result;
}
