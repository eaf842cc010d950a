import { resolveProducer } from "../framework/data.ts";
import type { PluginKind } from "../framework/plugin.ts";
import { type Report, suggest } from "../framework/problem.ts";
import type { FlowControlConfig } from "./flow-control.ts";
import { isKind, type PluginTable } from "./plugin-table.ts";
import type { Document } from "./schema.ts";
import type { DataSourceSpec, PluginSpec } from "./types.ts";

const DEFAULT_DETECTOR = "utilization-detector";
const METRICS_SOURCE = "metrics-data-source";
const METRICS_EXTRACTOR = "core-metrics-extractor";
/** Policies that exist under these names even when flow control is off. */
const DEFAULT_POLICIES = ["fcfs-ordering-policy", "global-strict-fairness-policy", "static-usage-limit-policy"];

/** Reports a name that is no plugin, or a plugin of another kind. */
function checkKind(
  plugins: PluginTable,
  name: string,
  kind: PluginKind | undefined,
  path: string,
  report: Report,
): void {
  const spec = plugins.get(name);
  if (spec === undefined && plugins.has(name)) return;
  if (spec === undefined)
    report.error({ path, value: name, cause: "names no plugin", remedy: suggest(name, plugins.names()) });
  else if (kind !== undefined && !isKind(spec, kind))
    report.error({ path, value: name, cause: `is not a ${kind}`, remedy: `name a plugin of kind ${kind}` });
}

/** Types of the listed parsers; undefined when none is listed. A type may stand for an instance of it. */
export function readParsers(found: Document, plugins: PluginTable, report: Report): readonly string[] | undefined {
  const listed = found.requestHandler?.parsers ?? [];
  if (listed.length === 0) return undefined;
  return listed.flatMap(({ pluginRef }, index) => {
    if (!plugins.has(pluginRef)) plugins.inject(pluginRef);
    checkKind(plugins, pluginRef, "parser", `requestHandler.parsers[${index}].pluginRef`, report);
    const type = plugins.get(pluginRef)?.type;
    return type === undefined ? [] : [type];
  });
}

/** Name of the saturation detector. */
export function readDetector(
  found: Document,
  legacy: Readonly<Record<string, unknown>> | undefined,
  plugins: PluginTable,
  report: Report,
): string {
  const name = found.flowControl?.saturationDetector?.pluginRef || DEFAULT_DETECTOR;
  if (name === DEFAULT_DETECTOR) plugins.inject(DEFAULT_DETECTOR, legacy);
  checkKind(plugins, name, "saturation-detector", "flowControl.saturationDetector.pluginRef", report);
  return name;
}

/** Checks the policies that bands name. With the gate off they are not used, so that a fault is a warning. */
export function checkPolicies(flow: FlowControlConfig, enabled: boolean, plugins: PluginTable, report: Report): void {
  for (const type of DEFAULT_POLICIES) plugins.inject(type);
  const told: Report = enabled
    ? report
    : { ...report, error: ({ path, value, cause }) => report.warn(`${path}: "${String(value)}" ${cause}`) };
  const bands = [...flow.bands, flow.defaultBand, flow.negativeBand];
  for (const name of new Set(bands.map(({ fairnessPolicy }) => fairnessPolicy)))
    checkKind(plugins, name, "fairness-policy", "flowControl: fairnessPolicyRef", told);
  for (const name of new Set(bands.map(({ orderingPolicy }) => orderingPolicy)))
    checkKind(plugins, name, "ordering-policy", "flowControl: orderingPolicyRef", told);
  checkKind(plugins, flow.usageLimitPolicy, "usage-limit-policy", "flowControl.usageLimitPolicyPluginRef", told);
}

/** The sources of data; that of the engines' metrics is there unless `injectDefaults` is false. */
export function readDataSources(found: Document, plugins: PluginTable, report: Report): readonly DataSourceSpec[] {
  const { sources = [], injectDefaults = true, discovery, peerDiscovery } = found.dataLayer ?? {};
  sources.forEach(({ pluginRef, extractors }, index) => {
    const path = `dataLayer.sources[${index}]`;
    checkKind(plugins, pluginRef, "data-source", `${path}.pluginRef`, report);
    extractors.forEach((extractor, at) =>
      checkKind(plugins, extractor.pluginRef, "extractor", `${path}.extractors[${at}].pluginRef`, report),
    );
  });
  if (discovery !== undefined)
    checkKind(plugins, discovery.pluginRef, "discovery", "dataLayer.discovery.pluginRef", report);
  if (peerDiscovery !== undefined) report.warn("dataLayer.peerDiscovery: accepted, has no effect");
  if ((found.dataLayer?.crossReplicaSyncerPluginRef ?? "") !== "")
    report.warn("dataLayer.crossReplicaSyncerPluginRef: accepted, has no effect");
  const listed = sources.map(({ pluginRef, extractors }) => ({
    source: pluginRef,
    extractors: extractors.map((extractor) => extractor.pluginRef),
  }));
  const scrapes = listed.some(({ source }) => plugins.get(source)?.type === METRICS_SOURCE);
  if (scrapes || !injectDefaults) return listed;
  for (const type of [METRICS_SOURCE, METRICS_EXTRACTOR]) plugins.inject(type);
  return [...listed, { source: METRICS_SOURCE, extractors: [METRICS_EXTRACTOR] }];
}

/** Adds the default producers of data that plugins read and nobody produces. The table grows while it is walked. */
export function addProducers(plugins: PluginTable, report: Report): void {
  const done = new Set<string>();
  for (let next = unvisited(plugins, done); next !== undefined; next = unvisited(plugins, done)) {
    done.add(next.name);
    for (const { key, producer: wanted, optional } of next.definition.consumes?.(next.parameters) ?? []) {
      const producer = resolveProducer(key, wanted, plugins.all());
      const makes = plugins.get(producer)?.definition.produces?.includes(key) ?? false;
      if (makes || optional === true || key.defaultProducer === undefined) continue;
      if (producer === key.defaultProducer && !plugins.has(producer)) plugins.inject(producer);
      else if (plugins.get(producer) !== undefined || !plugins.has(producer)) {
        const remedy = `declare a plugin named "${producer}" of a type such as ${key.defaultProducer}`;
        report.error({
          path: `plugin ${next.name}`,
          value: producer,
          cause: `names no producer of ${key.name}`,
          remedy,
        });
      }
    }
  }
}

const unvisited = (plugins: PluginTable, done: ReadonlySet<string>): PluginSpec | undefined =>
  plugins.all().find(({ name }) => !done.has(name));

/** Adds plugins that parameters name by a type which nobody declared, and reports names of nothing. */
export function checkParameterReferences(plugins: PluginTable, report: Report): void {
  for (const { name, definition, parameters } of plugins.all()) {
    for (const { name: target, path, kind } of definition.references?.(parameters) ?? []) {
      if (!plugins.has(target) && plugins.isType(target)) {
        report.warn(`plugin ${name}: "${target}" is not declared; added with its defaults`);
        plugins.inject(target);
      }
      checkKind(plugins, target, kind, `plugin ${name}: parameters.${path}`, report);
    }
  }
  for (const { name } of plugins.all()) reportLoop(plugins, name, report);
}

function reportLoop(plugins: PluginTable, start: string, report: Report): void {
  const visit = (name: string, trail: readonly string[]): boolean =>
    referencesOf(plugins, name).some(
      (next) => next === start || (!trail.includes(next) && visit(next, [...trail, next])),
    );
  if (!visit(start, [])) return;
  const cause = "refers to itself, directly or by way of others";
  report.error({ path: `plugin ${start}`, value: start, cause, remedy: "break the loop" });
}

function referencesOf(plugins: PluginTable, name: string): readonly string[] {
  const spec = plugins.get(name);
  return (spec?.definition.references?.(spec.parameters) ?? []).map((reference) => reference.name);
}
