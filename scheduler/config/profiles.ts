import { type Report, suggest } from "../framework/problem.ts";
import { isKind, type PluginTable } from "./plugin-table.ts";
import type { Document } from "./schema.ts";
import type { ProfileSpec } from "./types.ts";

const DEFAULT_PICKER = "max-score-picker";
const SINGLE = "single-profile-handler";

type Written = Document["schedulingProfiles"][number];

/** The profiles, each with a picker. Without any there is one that uses every plugin that can be in a profile. */
export function readProfiles(written: readonly Written[], plugins: PluginTable, report: Report): ProfileSpec[] {
  if (written.length > 0) checkNames(written, report);
  const given = written.length > 0 ? written : [everything(plugins)];
  if (plugins.ofKind("picker").length === 0) plugins.inject(DEFAULT_PICKER);
  return given.map((profile, index) => readProfile(profile, `schedulingProfiles[${index}]`, plugins, report));
}

function checkNames(written: readonly Written[], report: Report): void {
  written.forEach(({ name: value }, index) => {
    if (value === "" || written.findIndex(({ name }) => name === value) === index) return;
    const path = `schedulingProfiles[${index}].name`;
    report.error({ path, value, cause: "is the name of an earlier profile", remedy: "rename one" });
  });
}

function everything(plugins: PluginTable): Written {
  const used = plugins.ofKind("filter", "scorer", "picker").filter(({ declared }) => declared);
  return { name: "default", plugins: used.map(({ name }) => ({ pluginRef: name, weight: 1 })) };
}

function readProfile(profile: Written, path: string, plugins: PluginTable, report: Report): ProfileSpec {
  profile.plugins.forEach(({ pluginRef: value }, index) => {
    if (value === "" || plugins.has(value)) return;
    if (plugins.isType(value)) {
      report.warn(`${path}.plugins[${index}].pluginRef: "${value}" is not declared; added with its defaults`);
      plugins.inject(value);
      return;
    }
    const remedy = suggest(value, plugins.names());
    report.error({ path: `${path}.plugins[${index}].pluginRef`, value, cause: "names no plugin", remedy });
  });
  const used = profile.plugins.map(({ pluginRef, weight }) => ({ plugin: pluginRef, weight }));
  const pickers = used.filter(({ plugin }) => isKind(plugins.get(plugin), "picker"));
  if (pickers.length > 1) {
    const value = pickers.map(({ plugin }) => plugin);
    report.error({ path: `${path}.plugins`, value, cause: "has more than one picker", remedy: "keep one" });
  }
  if (pickers.length === 0) used.push({ plugin: anyPicker(plugins), weight: 1 });
  return { name: profile.name, plugins: used };
}

function anyPicker(plugins: PluginTable): string {
  const pickers = plugins.ofKind("picker");
  return (pickers.find(({ type }) => type === DEFAULT_PICKER) ?? pickers[0])?.name ?? "";
}

/** Name of the one profile handler; added when there is one profile and no handler. */
export function chooseHandler(plugins: PluginTable, profiles: readonly ProfileSpec[], report: Report): string {
  if (plugins.ofKind("profile-handler").length === 0 && profiles.length === 1) plugins.inject(SINGLE);
  const [handler, second] = plugins.ofKind("profile-handler");
  if (handler === undefined) {
    const cause = "no profile handler for more than one profile";
    report.error({ path: "plugins", value: undefined, cause, remedy: "declare a profile handler" });
    return "";
  }
  if (second !== undefined) {
    const value = [handler.name, second.name];
    report.error({ path: "plugins", value, cause: "more than one profile handler", remedy: "keep one" });
  }
  if (handler.type === SINGLE && profiles.length > 1) {
    const value = profiles.map(({ name }) => name);
    const cause = `${SINGLE} takes one profile`;
    report.error({ path: "schedulingProfiles", value, cause, remedy: "keep one profile, or use another handler" });
  }
  return handler.name;
}
