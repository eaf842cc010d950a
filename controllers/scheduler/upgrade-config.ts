import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { at, objectAt, sameJson, textAt } from "../../crds/json.ts";
import { compact, objectsOf } from "../json-edit.ts";
import { type Release, isSince } from "./release.ts";

/** Changes a configuration, or hands back the same object. */
export type ConfigStep = (config: JsonObject) => JsonObject;

const typeOf = (plugin: Json): string | undefined => textAt(plugin, "type");
/** A plugin without a name of its own goes by its type. */
const nameOf = (plugin: JsonObject): string => textAt(plugin, "name") || (typeOf(plugin) ?? "");

/** The plugins that a configuration declares. */
export const pluginsOf = (config: JsonObject): readonly JsonObject[] => objectsOf(config["plugins"]);

/** Whether a configuration declares a plugin of one of these types. */
export function declares(config: JsonObject, ...types: readonly string[]): boolean {
  return pluginsOf(config).some((plugin) => types.includes(typeOf(plugin) ?? ""));
}

function editPlugins(config: JsonObject, edit: (plugin: JsonObject) => readonly JsonObject[]): JsonObject {
  return { ...config, plugins: pluginsOf(config).flatMap(edit) };
}

function editReferences(config: JsonObject, edit: (reference: JsonObject) => JsonObject): JsonObject {
  const profiles = objectsOf(config["schedulingProfiles"]);
  if (profiles.length === 0) return config;
  return {
    ...config,
    schedulingProfiles: profiles.map((profile) =>
      profile["plugins"] === undefined ? profile : { ...profile, plugins: objectsOf(profile["plugins"]).map(edit) },
    ),
  };
}

/** The configuration with one more plugin at the end of its list. */
export function withPlugin(config: JsonObject, plugin: JsonObject): JsonObject {
  return { ...config, plugins: [...pluginsOf(config), plugin] };
}

/** Edits the parameters of every plugin of these types; without parameters left the field goes. */
function editParameters(
  types: readonly string[] | undefined,
  edit: (parameters: JsonObject) => JsonObject,
): ConfigStep {
  return (config) =>
    editPlugins(config, (plugin) => {
      if (types !== undefined && !types.includes(typeOf(plugin) ?? "")) return [plugin];
      const { parameters, ...rest } = plugin;
      const given = objectAt(parameters) ?? {};
      const edited = edit(given);
      if (sameJson(edited, given)) return [plugin];
      return [Object.keys(edited).length === 0 ? rest : { ...rest, parameters: edited }];
    });
}

/** Gives a type its later name, wherever it stands: as type, as name, and in the profiles. */
function renamed(from: string, to: string): ConfigStep {
  return (config) => {
    const plugins = editPlugins(config, (plugin) => [
      compact({
        ...plugin,
        type: typeOf(plugin) === from ? to : plugin["type"],
        name: plugin["name"] === from ? to : plugin["name"],
      }),
    ]);
    return editReferences(plugins, (reference) =>
      reference["pluginRef"] === from ? { ...reference, pluginRef: to } : reference,
    );
  };
}

const OLD_HANDLER = "pd-profile-handler";
const HANDLER = "disagg-profile-handler";
const ALWAYS = "always-disagg-pd-decider";
const BY_PREFIX = "prefix-based-pd-decider";
/** Characters that a token stands for, by which the old threshold in characters was counted. */
const CHARACTERS_PER_TOKEN = 4;

interface Decision {
  readonly decider: string;
  /** The plugin to declare; none where the name is already somebody's. */
  readonly plugin: JsonObject | undefined;
}

function decisionOf(parameters: JsonObject): Decision | undefined {
  const named = textAt(parameters, "deciderPluginName");
  if (named !== undefined) return { decider: named, plugin: undefined };
  const { threshold } = parameters;
  if (typeof threshold !== "number") return undefined;
  if (threshold <= 0) return { decider: ALWAYS, plugin: { type: ALWAYS } };
  const nonCachedTokens = Math.max(1, Math.ceil(threshold / CHARACTERS_PER_TOKEN));
  return { decider: BY_PREFIX, plugin: { type: BY_PREFIX, parameters: { nonCachedTokens } } };
}

function withDecider(handler: JsonObject): { readonly handler: JsonObject; readonly plugin: JsonObject | undefined } {
  const parameters = objectAt(handler, "parameters") ?? {};
  const decision = parameters["deciders"] === undefined ? decisionOf(parameters) : undefined;
  if (decision === undefined) return { handler, plugin: undefined };
  const { deciderPluginName: _named, threshold: _threshold, ...rest } = parameters;
  const deciders = { prefill: decision.decider };
  return { handler: { ...handler, parameters: { ...rest, deciders } }, plugin: decision.plugin };
}

/** The handler that decided itself when to prefill elsewhere names a decider now, which stands before it. */
const decidersOfTheirOwn: ConfigStep = (config) => {
  if (!declares(config, OLD_HANDLER)) return config;
  const old = pluginsOf(config).map((plugin) => typeOf(plugin) === OLD_HANDLER);
  const current = renamed(OLD_HANDLER, HANDLER)(config);
  const present = new Set(pluginsOf(current).map(typeOf));
  return {
    ...current,
    plugins: pluginsOf(current).flatMap((plugin, index) => {
      if (old[index] !== true) return [plugin];
      const { handler, plugin: decider } = withDecider(plugin);
      if (decider === undefined || present.has(typeOf(decider))) return [handler];
      present.add(typeOf(decider));
      return [decider, handler];
    }),
  };
};

const without =
  (key: string) =>
  (parameters: JsonObject): JsonObject => {
    const { [key]: _removed, ...rest } = parameters;
    return rest;
  };

const PREFIX_SCORER = "prefix-cache-scorer";
const PRECISE_SCORER = "precise-prefix-cache-scorer";
const PRECISE_PRODUCER = "precise-prefix-cache-producer";
const TOKEN_PRODUCER = "token-producer";
const PRODUCER_NAME = "prefixMatchInfoProducerName";

const onlyProducerName = editParameters([PREFIX_SCORER], (parameters) =>
  compact({ [PRODUCER_NAME]: parameters[PRODUCER_NAME] }),
);

const currentApiVersion: ConfigStep = (config) =>
  config["apiVersion"] === "inference.networking.x-k8s.io/v1alpha1"
    ? { ...config, apiVersion: "llm-d.ai/v1alpha1" }
    : config;

/** Where a tokenizer answers, and under which name it knows the model. */
function tokenizerParameters(url: string, given: JsonObject = {}): JsonObject {
  const vllm = objectAt(given, "vllm") ?? {};
  return { modelName: "/mnt/models/base", ...given, vllm: { url, ...vllm } };
}

function producerParameters(parameters: JsonObject): JsonObject {
  const indexer = objectAt(parameters, "indexerConfig");
  if (indexer === undefined) return parameters;
  const { tokenizersPoolConfig: _pool, tokenProcessorConfig, ...rest } = indexer;
  return compact({
    ...parameters,
    indexerConfig: rest,
    tokenProcessorConfig: parameters["tokenProcessorConfig"] ?? tokenProcessorConfig,
  });
}

function preciseParts(plugin: JsonObject, url: string): readonly JsonObject[] {
  const parameters = producerParameters(objectAt(plugin, "parameters") ?? {});
  return [
    { type: TOKEN_PRODUCER, parameters: tokenizerParameters(url) },
    compact({ type: PRECISE_PRODUCER, parameters: Object.keys(parameters).length === 0 ? undefined : parameters }),
    { type: PREFIX_SCORER, parameters: { [PRODUCER_NAME]: PRECISE_PRODUCER } },
  ];
}

/** References to the old scorers become one to the new one, in the place and with the weight of the first. */
function oneReference(config: JsonObject, old: ReadonlySet<string>): JsonObject {
  return {
    ...config,
    schedulingProfiles: objectsOf(config["schedulingProfiles"]).map((profile) => {
      let seen = false;
      const plugins = objectsOf(profile["plugins"]).flatMap((reference) => {
        if (!old.has(textAt(reference, "pluginRef") ?? "")) return [reference];
        if (seen) return [];
        seen = true;
        return [{ ...reference, pluginRef: PREFIX_SCORER }];
      });
      return { ...profile, plugins };
    }),
  };
}

/** The precise scorer of old did three things that are plugins of their own now. */
const preciseScorerInParts =
  (url: string): ConfigStep =>
  (config) => {
    if (!declares(config, PRECISE_SCORER)) return config;
    const replaced = pluginsOf(config).filter((plugin) =>
      [PRECISE_SCORER, PREFIX_SCORER].includes(typeOf(plugin) ?? ""),
    );
    let done = false;
    const plugins = editPlugins(config, (plugin) => {
      if (typeOf(plugin) === PREFIX_SCORER) return [];
      if (typeOf(plugin) !== PRECISE_SCORER) return [plugin];
      if (done) return [];
      done = true;
      return preciseParts(plugin, url);
    });
    return oneReference(plugins, new Set(replaced.map(nameOf)));
  };

const tokenizerAddress = (url: string): ConfigStep =>
  editParameters([TOKEN_PRODUCER], (parameters) => tokenizerParameters(url, parameters));

/** What the scheduler of the first releases with a tokenizer in its own pod needs to find it. */
const tokenizerInPod: readonly ConfigStep[] = [
  editParameters([PRECISE_SCORER], (parameters) => {
    const indexer = objectAt(parameters, "indexerConfig") ?? {};
    const pool = objectAt(indexer, "tokenizersPoolConfig") ?? {};
    const uds = { ...objectAt(pool, "uds"), socketFile: "/tmp/tokenizer/tokenizer-uds.socket" };
    return { ...parameters, indexerConfig: { ...indexer, tokenizersPoolConfig: { ...pool, modelName: "base", uds } } };
  }),
  editParameters([PRECISE_SCORER], (parameters) =>
    compact({
      ...parameters,
      tokenProcessorConfig:
        parameters["tokenProcessorConfig"] ?? at(parameters, "indexerConfig", "tokenProcessorConfig"),
    }),
  ),
  editParameters([PREFIX_SCORER], (parameters) =>
    compact({ ...parameters, blockSizeTokens: parameters["blockSizeTokens"] ?? parameters["blockSize"] }),
  ),
];

/** What decides which steps an upgrade takes. */
export interface UpgradeTarget {
  readonly release: Release;
  /** Whether a tokenizer runs in the scheduler's own pod. */
  readonly tokenizerInPod: boolean;
  /** URL of the tokenizer's Service; undefined where there is none. */
  readonly tokenizerUrl: string | undefined;
}

/** The renamings and rearrangements of a configuration for a release, in order (KServe v0.20). */
export function upgradeSteps({ release, tokenizerInPod: inPod, tokenizerUrl }: UpgradeTarget): readonly ConfigStep[] {
  const since = (minor: number, ...steps: readonly ConfigStep[]): readonly ConfigStep[] =>
    isSince(release, 0, minor) ? steps : [];
  return [
    ...(inPod ? tokenizerInPod : []),
    ...since(
      7,
      renamed("prefill-header-handler", "disagg-headers-handler"),
      decidersOfTheirOwn,
      editParameters(undefined, without("hashBlockSize")),
    ),
    ...since(8, renamed("model-server-protocol-metrics", "core-metrics-extractor")),
    ...since(9, onlyProducerName, currentApiVersion),
    ...(tokenizerUrl === undefined ? [] : since(9, preciseScorerInParts(tokenizerUrl), tokenizerAddress(tokenizerUrl))),
  ];
}

const METRIC_SPECS: Readonly<Record<string, string>> = {
  "total-queued-requests-metric": "queuedRequestsSpec",
  "total-running-requests-metric": "runningRequestsSpec",
  "kv-cache-usage-percentage-metric": "kvUsageSpec",
  "lora-info-metric": "loraSpec",
  "cache-info-metric": "cacheInfoSpec",
};

/** Flags that named the engine's metrics before 0.7.0. */
export const METRIC_FLAGS: ReadonlySet<string> = new Set(Object.keys(METRIC_SPECS));

/** The plugin that says what those flags said; the configuration itself where it has one already. */
export function withEngineMetrics(config: JsonObject, flags: ReadonlyMap<string, string>): JsonObject {
  const type = "model-server-protocol-metrics";
  if (flags.size === 0 || declares(config, type, "core-metrics-extractor")) return config;
  const specs = [...flags].map(([flag, value]) => [METRIC_SPECS[flag] ?? flag, value] as const);
  const parameters = {
    engineLabelKey: "inference.networking.k8s.io/engine-type",
    defaultEngine: "vllm",
    engineConfigs: [{ name: "vllm", ...Object.fromEntries(specs) }],
  };
  return withPlugin(config, { name: type, type, parameters });
}

const SKIP_VERIFY_FLAG = "model-server-metrics-https-insecure-skip-verify";

/** Flags that said where the engine's metrics are before 0.10.0. */
export const SCRAPE_FLAGS: ReadonlySet<string> = new Set([
  "model-server-metrics-scheme",
  "model-server-metrics-path",
  "model-server-metrics-port",
  SKIP_VERIFY_FLAG,
]);

/** Those of them that may stand without a value. */
export const SCRAPE_SWITCHES: ReadonlySet<string> = new Set([SKIP_VERIFY_FLAG]);

/** The plugin that says what those flags said; the port follows the pool. */
export function withMetricsSource(config: JsonObject, flags: ReadonlyMap<string, string>): JsonObject {
  const type = "metrics-data-source";
  const skip = flags.get(SKIP_VERIFY_FLAG);
  const parameters = compact({
    scheme: flags.get("model-server-metrics-scheme"),
    path: flags.get("model-server-metrics-path"),
    insecureSkipVerify: skip === undefined ? undefined : /^(1|t|true)$/i.test(skip),
  });
  if (Object.keys(parameters).length === 0 || declares(config, type)) return config;
  return withPlugin(config, { type, parameters });
}
