import { parseYaml } from "../../kube/yaml.ts";
import { isRecord } from "../framework/parameters.ts";
import type { AnyPluginDefinition } from "../framework/plugin.ts";
import { type CollectedReport, createReport, suggest } from "../framework/problem.ts";
import { PLUGINS } from "../plugins/registry.ts";
import { DEFAULT_CONFIG, splitPrefixScorer } from "./defaults.ts";
import { type Document, document } from "./schema.ts";
import type { LoadedConfig, PluginSpec, ProfileSpec } from "./types.ts";

const CURRENT = "llm-d.ai/v1alpha1";
const FORMER = "inference.networking.x-k8s.io/v1alpha1";
const KIND = "EndpointPickerConfig";
/** Sections that are accepted and change nothing. */
const UNUSED = ["flowControl", "saturationDetector", "data"] as const;
const DATA_LAYER = ["metrics-data-source", "core-metrics-extractor"];

/** Reads an EndpointPickerConfig: YAML or JSON text, or its value. Absent or empty means the default configuration. */
export function loadConfig(input: unknown): LoadedConfig {
  const failed = createReport();
  const value = typeof input === "string" ? parsed(input, failed) : input;
  if (failed.errors.length > 0) return { config: undefined, ...failed };
  const source = value ?? DEFAULT_CONFIG;
  if (isRecord(source)) return read(source);
  failed.error({ path: "", value: source, cause: "is not an object", remedy: `give an ${KIND}` });
  return { config: undefined, ...failed };
}

function parsed(input: string, report: CollectedReport): unknown {
  try {
    return parseYaml(input);
  } catch (error) {
    const cause = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    report.error({ path: "", value: undefined, cause, remedy: "give one YAML or JSON document" });
    return undefined;
  }
}

function read(source: Readonly<Record<string, unknown>>): LoadedConfig {
  const report = createReport();
  checkKind(source, report);
  const found = document.read(source, "", report);
  warnUnused(source, found, report);
  const parameters = createReport(source["apiVersion"] === FORMER ? "warn" : "error");
  const declared = splitPrefixScorer(found.plugins, (text) => report.warn(text));
  const plugins = readPlugins(declared, found.plugins.length, parameters);
  const profiles = readProfiles(found, plugins, report);
  const handler = injectHandler(plugins, profiles, report);
  injectProducers(plugins, report);
  checkReferences(plugins, report);
  const errors = [...report.errors, ...parameters.errors];
  const warnings = [...report.warnings, ...parameters.warnings];
  if (errors.length > 0) return { config: undefined, errors, warnings };
  const all = [...plugins.values()];
  const parsers = found.requestHandler?.parsers ?? (found.parser === undefined ? undefined : [found.parser]);
  const parserTypes = parsers?.map(({ pluginRef }) => plugins.get(pluginRef)?.type ?? pluginRef);
  const dataLayer = new Map(
    all.flatMap(({ type, parameters: given }) =>
      DATA_LAYER.includes(type) && isRecord(given) ? [[type, given] as const] : [],
    ),
  );
  return { config: { plugins: all, profiles, handler, parserTypes, dataLayer }, errors, warnings };
}

function checkKind({ apiVersion, kind }: Readonly<Record<string, unknown>>, report: CollectedReport): void {
  if (apiVersion === FORMER) report.warn(`apiVersion ${FORMER} is deprecated; use ${CURRENT}`);
  else if (apiVersion !== CURRENT)
    report.error({ path: "apiVersion", value: apiVersion, cause: "is not supported", remedy: `give ${CURRENT}` });
  if (kind !== KIND) report.error({ path: "kind", value: kind, cause: "is not supported", remedy: `give ${KIND}` });
}

function warnUnused(source: Readonly<Record<string, unknown>>, found: Document, report: CollectedReport): void {
  for (const key of UNUSED) if (source[key] !== undefined) report.warn(`${key}: accepted, has no effect here`);
  for (const gate of found.featureGates) report.warn(`featureGates: "${gate}" has no effect here`);
}

function readPlugins(declared: Document["plugins"], written: number, report: CollectedReport): Map<string, PluginSpec> {
  const plugins = new Map<string, PluginSpec>();
  declared.forEach((plugin, index) => {
    const path = index < written ? `plugins[${index}]` : `plugin ${plugin.type}`;
    const name = plugin.name === "" ? plugin.type : plugin.name;
    if (name !== "" && plugins.has(name))
      report.error({
        path: `${path}.name`,
        value: name,
        cause: "is the name of an earlier plugin",
        remedy: "rename one",
      });
    const definition = PLUGINS.get(plugin.type);
    if (definition === undefined) reportUnknownType(plugin.type, path, report);
    else plugins.set(name, instance(name, definition, plugin.parameters, `${path}.parameters`, report));
  });
  return plugins;
}

function reportUnknownType(type: string, path: string, report: CollectedReport): void {
  if (type === "") return;
  const remedy = suggest(type, [...PLUGINS.keys()]);
  report.error({ path: `${path}.type`, value: type, cause: "is not a known plugin type", remedy });
}

function instance(
  name: string,
  definition: AnyPluginDefinition,
  given: unknown,
  path: string,
  report: CollectedReport,
): PluginSpec {
  const { type, deprecated, create, handledBy } = definition;
  if (deprecated !== undefined) report.warn(`plugin "${name}": type ${type} is deprecated; use ${deprecated}`);
  if (create === undefined && handledBy === undefined)
    report.warn(`plugin "${name}": type ${type} is accepted, has no effect here`);
  return { name, type, definition, parameters: definition.parameters.read(given, path, report) };
}

const isKind = (spec: PluginSpec | undefined, ...kinds: readonly string[]): boolean =>
  spec?.definition.kinds.some((kind) => kinds.includes(kind)) ?? false;

function add(plugins: Map<string, PluginSpec>, type: string, report: CollectedReport): void {
  const definition = PLUGINS.get(type);
  if (definition !== undefined && !plugins.has(type))
    plugins.set(type, instance(type, definition, undefined, type, report));
}

function readProfiles(found: Document, plugins: Map<string, PluginSpec>, report: CollectedReport): ProfileSpec[] {
  if (![...plugins.values()].some((spec) => isKind(spec, "picker"))) add(plugins, "max-score-picker", report);
  const given = found.schedulingProfiles.length > 0 ? found.schedulingProfiles : [everything(plugins)];
  const names = new Set<string>();
  return given.map((profile, index) => {
    const path = `schedulingProfiles[${index}]`;
    if (names.has(profile.name))
      report.error({
        path: `${path}.name`,
        value: profile.name,
        cause: "is the name of an earlier profile",
        remedy: "rename one",
      });
    names.add(profile.name);
    return readProfile(profile, path, plugins, report);
  });
}

function everything(plugins: ReadonlyMap<string, PluginSpec>): Document["schedulingProfiles"][number] {
  const used = [...plugins.values()].filter((spec) => isKind(spec, "filter", "scorer", "picker"));
  return { name: "default", plugins: used.map(({ name }) => ({ pluginRef: name, weight: 1 })) };
}

function readProfile(
  profile: Document["schedulingProfiles"][number],
  path: string,
  plugins: ReadonlyMap<string, PluginSpec>,
  report: CollectedReport,
): ProfileSpec {
  profile.plugins.forEach(({ pluginRef: value }, index) => {
    if (value === "" || plugins.has(value)) return;
    const remedy = suggest(value, [...plugins.keys()]);
    report.error({ path: `${path}.plugins[${index}].pluginRef`, value, cause: "names no plugin", remedy });
  });
  const used = profile.plugins.map(({ pluginRef, weight }) => ({ plugin: pluginRef, weight }));
  const pickers = used.filter(({ plugin }) => isKind(plugins.get(plugin), "picker"));
  if (pickers.length > 1) {
    const value = pickers.map(({ plugin }) => plugin);
    report.error({ path: `${path}.plugins`, value, cause: "has more than one picker", remedy: "keep one" });
  }
  if (pickers.length === 0) used.push({ plugin: defaultPicker(plugins), weight: 1 });
  return { name: profile.name, plugins: used };
}

function defaultPicker(plugins: ReadonlyMap<string, PluginSpec>): string {
  const pickers = [...plugins.values()].filter((spec) => isKind(spec, "picker"));
  return (pickers.find(({ type }) => type === "max-score-picker") ?? pickers[0])?.name ?? "";
}

function injectHandler(
  plugins: Map<string, PluginSpec>,
  profiles: readonly ProfileSpec[],
  report: CollectedReport,
): string {
  const handlers = (): PluginSpec[] => [...plugins.values()].filter((spec) => isKind(spec, "profile-handler"));
  if (handlers().length === 0 && profiles.length === 1) add(plugins, "single-profile-handler", report);
  const [handler, second] = handlers();
  if (handler === undefined)
    report.error({ path: "plugins", value: undefined, cause: "no profile handler", remedy: "add a profile handler" });
  else if (second !== undefined)
    report.error({
      path: "plugins",
      value: [handler.name, second.name],
      cause: "more than one profile handler",
      remedy: "keep one",
    });
  else if (handler.type === "single-profile-handler" && profiles.length > 1) {
    const value = profiles.map(({ name }) => name);
    report.error({
      path: "schedulingProfiles",
      value,
      cause: "single-profile-handler takes one profile",
      remedy: "keep one profile",
    });
  }
  return handler?.name ?? "";
}

/** Makes the default producers of data that plugins read and nobody produces. The map grows while it is walked. */
function injectProducers(plugins: Map<string, PluginSpec>, report: CollectedReport): void {
  for (const [name, { definition, parameters }] of plugins) {
    for (const { key, producer, optional } of definition.consumes?.(parameters) ?? []) {
      const makes = plugins.get(producer)?.definition.produces?.includes(key) ?? false;
      if (makes || optional === true || key.defaultProducer === undefined) continue;
      if (producer === key.defaultProducer && !plugins.has(producer)) add(plugins, producer, report);
      else {
        const remedy = `add a plugin named "${producer}" of a type such as ${key.defaultProducer}`;
        report.error({ path: `plugin ${name}`, value: producer, cause: `names no producer of ${key.name}`, remedy });
      }
    }
  }
}

function checkReferences(plugins: ReadonlyMap<string, PluginSpec>, report: CollectedReport): void {
  for (const { name, definition, parameters } of plugins.values()) {
    for (const { name: value, path, kind } of definition.references?.(parameters) ?? []) {
      const at = `plugin ${name}: parameters.${path}`;
      if (!plugins.has(value))
        report.error({ path: at, value, cause: "names no plugin", remedy: suggest(value, [...plugins.keys()]) });
      else if (!isKind(plugins.get(value), kind))
        report.error({ path: at, value, cause: `is not a ${kind}`, remedy: `name a ${kind}` });
    }
  }
}
