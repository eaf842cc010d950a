import { convert } from "../../crds/conversion.ts";
import { GROUP, STORAGE_VERSION } from "../../crds/definitions.ts";
import { objectAt, textAt } from "../../crds/json.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import {
  GLOBAL_CONFIG_NAME,
  type GlobalConfig,
  defaultGlobalConfig,
  parseGlobalConfig,
} from "../../controllers/composition/global-config.ts";
import { stringMapOf } from "../../controllers/json-edit.ts";
import type { Bases } from "../../controllers/lint/compose-check.ts";
import {
  type LintFinding,
  type LintObject,
  type LintSource,
  objectsIn,
  referencesOf,
} from "../../controllers/lint/lint.ts";
import { type HttpKubeClient, createKubeClient, currentNamespace, loadKubeConfig } from "../../kube/http-client.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { KubeError, type KubeObject } from "../../kube/types.ts";

/** A cluster to ask. */
export interface LiveCluster {
  readonly client: HttpKubeClient;
  /** Namespace of the context. */
  readonly namespace: string;
}

/** Connects as kubectl would. Errors: an unreadable kubeconfig, an unknown context. */
export async function connect(flags: {
  context: string | undefined;
  kubeconfig: string | undefined;
}): Promise<LiveCluster> {
  const config = await loadKubeConfig({ path: flags.kubeconfig, context: flags.context });
  return { client: createKubeClient(config, { userAgent: "llmisvc-lint" }), namespace: currentNamespace(config) };
}

/** What the cluster has of that to which the services of texts refer, and the operator's configuration there. */
export async function fetchBases(
  { client }: LiveCluster,
  sources: readonly LintSource[],
  { namespace, systemNamespace }: { namespace: string; systemNamespace: string },
): Promise<Bases & { readonly global: GlobalConfig }> {
  const objects = sources.flatMap((source) => objectsIn(source)).map(({ object }) => object);
  const own = objects.map((object) => textAt(object, "metadata", "namespace") ?? namespace);
  const namespaces = [...new Set([...own, systemNamespace])];
  const { configs, configMaps } = referencesOf(objects);
  const fetchAll = async (resource: Resource, names: readonly string[]): Promise<Map<string, JsonObject>> => {
    const keys = namespaces.flatMap((place) => names.map((name) => ({ namespace: place, name })));
    const found = await Promise.all(keys.map((key) => client.find(resource, key)));
    return new Map(
      found.flatMap((object, index) => (object === undefined ? [] : [[keyText(keys[index]!), asObject(object)]])),
    );
  };
  const settings = await client.find(KINDS.ConfigMap, { namespace: systemNamespace, name: GLOBAL_CONFIG_NAME });
  return {
    configs: await fetchAll(KINDS.LLMInferenceServiceConfig, configs),
    configMaps: await fetchAll(KINDS.ConfigMap, configMaps),
    global: globalOf(settings, systemNamespace),
  };
}

const keyText = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`;
const asObject = (object: KubeObject): JsonObject => object as unknown as JsonObject;

function globalOf(settings: KubeObject | undefined, systemNamespace: string): GlobalConfig {
  if (settings === undefined) return defaultGlobalConfig(systemNamespace);
  const parsed = parseGlobalConfig(stringMapOf(objectAt(asObject(settings), "data")), systemNamespace);
  return parsed.kind === "parsed" ? parsed.config : defaultGlobalConfig(systemNamespace);
}

/** What the API server says to a dry run of each object in which nothing is known to be wrong. */
export async function dryRun(
  { client }: LiveCluster,
  sources: readonly LintSource[],
  namespace: string,
  known: readonly LintFinding[],
): Promise<LintFinding[]> {
  const found: LintFinding[] = [];
  for (const entry of sources.flatMap((source) => objectsIn(source))) {
    const { object, source } = entry;
    const title = `${textAt(object, "kind")}/${textAt(object, "metadata", "name")}`;
    const isOurs = /^LLMInferenceService(Config)?$/.test(textAt(object, "kind") ?? "");
    const isWrong = known.some(
      (finding) => finding.source === source && finding.object === title && finding.severity === "error",
    );
    if (isOurs && !isWrong) found.push(...(await refusals(client, entry, namespace, title)));
  }
  return found;
}

async function refusals(
  client: HttpKubeClient,
  entry: LintObject,
  namespace: string,
  title: string,
): Promise<LintFinding[]> {
  const { source, object, lineOf } = entry;
  const metadata = objectAt(object, "metadata") ?? {};
  const hub = convert(object, `${GROUP}/${STORAGE_VERSION}`);
  const placed = {
    ...hub,
    metadata: { ...metadata, ...objectAt(hub, "metadata"), namespace: textAt(metadata, "namespace") ?? namespace },
  };
  const finding = (field: string, message: string): LintFinding => ({
    source,
    line: lineOf(field),
    severity: "error",
    object: title,
    field,
    message: `the cluster refuses it: ${message}`,
  });
  try {
    await client.apply(placed as unknown as KubeObject, { fieldManager: "llmisvc-lint", dryRun: true, force: true });
    return [];
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    const causes = error.details?.causes ?? [];
    if (causes.length === 0) return [finding("", error.message)];
    return causes.map(({ field = "", message = "" }) => finding(field, message));
  }
}
