/** The reference of all plugin types, as Markdown, from their declarations. */
import { isRecord, type Field } from "../framework/parameters.ts";
import type { AnyPluginDefinition, PluginKind, PluginRegistry } from "../framework/plugin.ts";
import { PLUGINS } from "./registry.ts";

/** Titles of the sections, in order; a type is listed under the first of its kinds. */
const TITLES: Readonly<Record<PluginKind, string>> = {
  "profile-handler": "Profile handlers",
  decider: "Deciders",
  filter: "Filters",
  scorer: "Scorers",
  picker: "Pickers",
  "data-producer": "Data producers",
  admitter: "Admitters",
  screener: "Screeners",
  "request-header": "Identity of requests",
  "pre-request": "Hooks before a request is sent",
  "response-header": "Hooks of the answer's headers",
  "response-body": "Hooks of the answer's body",
  "saturation-detector": "Saturation detectors",
  "ordering-policy": "Ordering policies of flow control",
  "fairness-policy": "Fairness policies of flow control",
  "usage-limit-policy": "Usage limits of flow control",
  "eviction-filter": "Eviction filters of flow control",
  "eviction-order-policy": "Eviction orders of flow control",
  "data-source": "Data sources",
  extractor: "Extractors",
  discovery: "Discovery",
  parser: "Parsers",
};

const KINDS = Object.keys(TITLES) as PluginKind[];

const HEAD = `# Plugins

Every plugin type that an \`EndpointPickerConfig\` may declare. Written from the declarations in \`scheduler/plugins/\`; do not
edit, run \`make docs\`. How to write one: [write-a-plugin.md](write-a-plugin.md).

Parameters are checked when a configuration is applied and when it is loaded: an unknown or wrong one is an error with its
path, its value, the cause and the remedy.
`;

/** Markdown for every type of a registry; default: those of this scheduler. */
export function pluginReference(registry: PluginRegistry = PLUGINS): string {
  const sections = KINDS.map((kind) => {
    const own = [...registry.values()].filter((definition) => firstKind(definition) === kind);
    const sorted = own.toSorted((a, b) => (a.type < b.type ? -1 : 1));
    return own.length === 0 ? "" : `## ${TITLES[kind]}\n\n${sorted.map(entry).join("\n")}`;
  });
  return [HEAD, ...sections.filter((section) => section !== "")].join("\n");
}

const firstKind = ({ kinds }: AnyPluginDefinition): PluginKind | undefined =>
  KINDS.find((kind) => kinds.includes(kind));

function entry(definition: AnyPluginDefinition): string {
  const { type, kinds, stability, deprecated, description, limits, handledBy, parameters } = definition;
  const others = kinds.filter((kind) => kind !== firstKind(definition));
  const notes = [
    deprecated === undefined ? "" : `Deprecated: use ${deprecated}.`,
    stability === "alpha" ? "Experimental." : "",
    others.length === 0 ? "" : `Also: ${others.join(", ")}.`,
    handledBy === undefined ? "" : `Done by ${handledBy}.`,
    limits === undefined ? "" : `Limits: ${limits}.`,
  ].filter((note) => note !== "");
  const rows = rowsOf(parameters, "");
  const table = rows.length === 0 ? "No parameters.\n" : `${TABLE}${rows.join("")}`;
  return `### ${type}\n\n${[description, ...notes].join(" ")}\n\n${table}`;
}

const TABLE = "| Parameter | Accepts | Default | Meaning |\n|---|---|---|---|\n";

function rowsOf({ fields = {} }: Field<unknown>, path: string): string[] {
  return Object.entries(fields).flatMap(([name, field]) => {
    const at = `${path}${name}`;
    const inner = field.item ?? field;
    const nested = rowsOf(inner, `${at}${field.item === undefined ? "" : "[]"}.`);
    if (nested.length > 0 && field.doc === "") return nested;
    const cells = [`\`${at}\``, field.accepts, defaultOf(field), field.doc];
    return [`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`, ...nested];
  });
}

function defaultOf({ required, fallback }: Field<unknown>): string {
  if (required) return "required";
  if (fallback === undefined || fallback === "" || isRecord(fallback)) return "";
  return Array.isArray(fallback) && fallback.length === 0 ? "" : `\`${JSON.stringify(fallback)}\``;
}
