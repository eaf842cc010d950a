import { isRecord } from "../framework/parameters.ts";
import type { PluginRegistry } from "../framework/plugin.ts";
import { type CollectedReport, createReport } from "../framework/problem.ts";
import { PLUGINS } from "../plugins/registry.ts";
import { DEFAULT_CONFIG, splitPrefixScorers } from "./defaults.ts";
import { gatedSettings, resolveFlowControl } from "./flow-control.ts";
import { readGates } from "./gates.ts";
import { type Environment, modernize } from "./legacy.ts";
import { PluginTable } from "./plugin-table.ts";
import { chooseHandler, readProfiles } from "./profiles.ts";
import {
  addProducers,
  checkParameterReferences,
  checkPolicies,
  readDataSources,
  readDetector,
  readParsers,
} from "./references.ts";
import { type Document, document } from "./schema.ts";
import { parseConfigText } from "./text.ts";
import type { LoadedConfig, SchedulerConfig } from "./types.ts";

const CURRENT = "llm-d.ai/v1alpha1";
const FORMER = [
  "inference.networking.x-k8s.io/v1alpha1",
  "config.apix.gateway-api-inference-extension.sigs.k8s.io/v1alpha1",
];
const KIND = "EndpointPickerConfig";
const DATA_LAYER = [
  "metrics-data-source",
  "core-metrics-extractor",
  "multicluster-metrics-data-source",
  "multicluster-metrics-extractor",
];
const NO_STAGES = { decode: "decode", prefill: "prefill", encode: "encode" };

/** What a reading depends on besides the document. */
export interface LoadOptions {
  /** Known plugin types; default: those of this scheduler. */
  readonly registry?: PluginRegistry;
  /** Variables by which former releases were configured; default: none. */
  readonly environment?: Environment;
  /** Gates that are known besides those of this scheduler. */
  readonly gates?: readonly string[];
  /** Whether plugins of alpha stability are used without a warning. */
  readonly allowExperimental?: boolean;
}

/**
 * Reads an EndpointPickerConfig: YAML or JSON text, or its value. Absent or empty means the default configuration. All
 * errors are told at once.
 */
export function loadConfig(input: unknown, options: LoadOptions = {}): LoadedConfig {
  const failed = createReport();
  const value = typeof input === "string" ? parsed(input, failed) : input;
  if (failed.errors.length > 0) return { config: undefined, ...failed };
  const source = value ?? DEFAULT_CONFIG;
  if (isRecord(source)) return read(source, options);
  failed.error({ path: "", value: source, cause: "is not an object", remedy: `give an ${KIND}` });
  return { config: undefined, ...failed };
}

function parsed(input: string, report: CollectedReport): unknown {
  try {
    return parseConfigText(input);
  } catch (error) {
    const cause = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    report.error({ path: "", value: undefined, cause, remedy: "give one YAML or JSON document" });
    return undefined;
  }
}

function read(source: Readonly<Record<string, unknown>>, options: LoadOptions): LoadedConfig {
  const report = createReport();
  checkKind(source, report);
  const modern = modernize(source, options.environment ?? {}, report);
  const found = document.read(modern.source, "", report);
  const plugins = readPlugins(found, source["apiVersion"] === CURRENT, options, report);
  const config = resolve(found, modern.detector, plugins, options, report);
  const { errors, warnings } = report;
  return { config: errors.length > 0 ? undefined : config, errors, warnings };
}

function checkKind({ apiVersion, kind }: Readonly<Record<string, unknown>>, report: CollectedReport): void {
  if (typeof apiVersion === "string" && FORMER.includes(apiVersion))
    report.warn(`apiVersion ${apiVersion} is deprecated; use ${CURRENT}`);
  else if (apiVersion !== CURRENT)
    report.error({ path: "apiVersion", value: apiVersion, cause: "is not supported", remedy: `give ${CURRENT}` });
  if (kind !== KIND) report.error({ path: "kind", value: kind, cause: "is not supported", remedy: `give ${KIND}` });
}

function readPlugins(found: Document, strict: boolean, options: LoadOptions, report: CollectedReport): PluginTable {
  const { registry = PLUGINS, allowExperimental = false } = options;
  const plugins = new PluginTable({ registry, report, strict, allowExperimental });
  const { written, added } = splitPrefixScorers(found.plugins, report);
  written.forEach((plugin, index) => plugins.declare(plugin, `plugins[${index}]`));
  for (const { type, parameters } of added) plugins.inject(type, parameters);
  return plugins;
}

/** Fills in defaults in the order of the llm-d endpoint picker, and checks what refers to what. */
function resolve(
  found: Document,
  detector: Readonly<Record<string, unknown>> | undefined,
  plugins: PluginTable,
  options: LoadOptions,
  report: CollectedReport,
): SchedulerConfig {
  const gates = readGates(found.featureGates, options.gates ?? [], report);
  const profiles = readProfiles(found.schedulingProfiles, plugins, report);
  const handler = chooseHandler(plugins, profiles, report);
  const flowControl = resolveFlowControl(found.flowControl);
  checkPolicies(flowControl, gates.flowControl, plugins, report);
  const parserTypes = readParsers(found, plugins, report);
  const saturationDetector = readDetector(found, detector, plugins, report);
  const dataSources = readDataSources(found, plugins, report);
  checkParameterReferences(plugins, report);
  addProducers(plugins, report);
  if (!gates.flowControl && found.flowControl !== undefined) warnUngated(gatedSettings(found.flowControl), report);
  if (gates.flowControl && flowControl.eviction)
    report.warn("flowControl.enableEviction: accepted, has no effect: running requests are not ended for others");
  const handlerSpec = plugins.get(handler);
  return {
    plugins: plugins.all(),
    profiles,
    handler,
    stages: handlerSpec?.definition.stages?.(handlerSpec.parameters) ?? NO_STAGES,
    parserTypes,
    gates,
    flowControl,
    saturationDetector,
    dataSources,
    discovery: found.dataLayer?.discovery?.pluginRef,
    dataLayer: rawDataLayer(plugins),
  };
}

function warnUngated(settings: readonly string[], report: CollectedReport): void {
  if (settings.length === 0) return;
  report.warn(`flowControl: ${settings.join(", ")} without effect: feature gate flowControl is off`);
}

function rawDataLayer(plugins: PluginTable): ReadonlyMap<string, Readonly<Record<string, unknown>>> {
  return new Map(
    plugins
      .all()
      .filter(({ type, declared }) => declared && DATA_LAYER.includes(type))
      .map(({ type, given }) => [type, isRecord(given) ? given : {}] as const),
  );
}
