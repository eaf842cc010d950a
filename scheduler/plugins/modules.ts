/** Plugins of users, from modules that the process is told to load. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as parameters from "../framework/parameters.ts";
import { isRecord } from "../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin, type PluginRegistry } from "../framework/plugin.ts";

/** What a module that exports a function is called with: all that declaring a plugin takes. */
export const PLUGIN_API = { definePlugin, ...parameters };

/**
 * The registry with the plugins of modules besides. A module's default export is a definition, a list of them, or a
 * function of `PLUGIN_API` that returns one of these. Rejects for a module that cannot be loaded, exports something else,
 * or declares a type that there is already.
 */
export async function withModules(registry: PluginRegistry, paths: readonly string[]): Promise<PluginRegistry> {
  const all = new Map(registry);
  for (const path of paths) {
    for (const definition of await definitionsOf(path)) {
      if (all.has(definition.type))
        throw new Error(`plugin module ${path}: type ${definition.type} exists already; choose another name`);
      all.set(definition.type, definition);
    }
  }
  return all;
}

async function definitionsOf(path: string): Promise<readonly AnyPluginDefinition[]> {
  const { default: exported }: { default?: unknown } = await load(path);
  const value: unknown = typeof exported === "function" ? exported(PLUGIN_API) : exported;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((item) => {
    const defect = defectOf(item);
    // `defectOf` has checked what the loader relies on.
    if (defect === undefined) return item as AnyPluginDefinition;
    throw new Error(`plugin module ${path}: its default export ${defect}; export what definePlugin returns`);
  });
}

async function load(path: string): Promise<{ default?: unknown }> {
  try {
    return (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown };
  } catch (error) {
    throw new Error(`plugin module ${path} cannot be loaded: ${String(error)}`, { cause: error });
  }
}

function defectOf(item: unknown): string | undefined {
  if (!isRecord(item)) return "is no plugin definition";
  const { type, kinds, parameters: field, create } = item;
  if (typeof type !== "string" || type === "") return "has no type";
  if (!Array.isArray(kinds)) return "has no list of kinds";
  if (!isRecord(field) || typeof field["read"] !== "function") return "has no parameters";
  return create === undefined || typeof create === "function" ? undefined : "has a create that is no function";
}
