import type { AnyPluginDefinition, PluginKind, PluginRegistry } from "../framework/plugin.ts";
import { isRecord } from "../framework/parameters.ts";
import { type Report, suggest } from "../framework/problem.ts";
import type { PluginSpec } from "./types.ts";

/** A plugin as the document writes it. */
export interface WrittenPlugin {
  readonly type: string;
  readonly name: string;
  readonly parameters: unknown;
}

/** What a table of plugins needs. */
export interface TableOptions {
  readonly registry: PluginRegistry;
  readonly report: Report;
  /** Whether unknown parameters are errors; the first API group was lenient. */
  readonly strict: boolean;
  /** Whether plugins of alpha stability are welcome; otherwise each is warned about. */
  readonly allowExperimental: boolean;
}

/** The plugin instances of one configuration, in the order of declaration, added ones last. */
export class PluginTable {
  readonly #specs = new Map<string, PluginSpec>();
  /** Names whose declaration has an error: a reference to one is not another error. */
  readonly #broken = new Set<string>();
  readonly #options: TableOptions;

  constructor(options: TableOptions) {
    this.#options = options;
  }

  get(name: string): PluginSpec | undefined {
    return this.#specs.get(name);
  }

  has(name: string): boolean {
    return this.#specs.has(name) || this.#broken.has(name);
  }

  all(): readonly PluginSpec[] {
    return [...this.#specs.values()];
  }

  ofKind(...kinds: readonly PluginKind[]): readonly PluginSpec[] {
    return this.all().filter((spec) => isKind(spec, ...kinds));
  }

  names(): readonly string[] {
    return [...this.#specs.keys()];
  }

  isType(name: string): boolean {
    return this.#options.registry.has(name);
  }

  /** Adds a declared plugin. */
  declare({ type, name: given, parameters }: WrittenPlugin, path: string): void {
    const { registry, report } = this.#options;
    const name = given === "" ? type : given;
    if (name !== "" && this.has(name)) {
      report.error({
        path: `${path}.name`,
        value: name,
        cause: "is the name of an earlier plugin",
        remedy: "rename one",
      });
      return;
    }
    const definition = registry.get(type);
    if (definition !== undefined) {
      this.#add(name, definition, parameters, path, true);
      return;
    }
    this.#broken.add(name);
    if (type === "") return;
    const remedy = suggest(type, [...registry.keys()]);
    report.error({ path: `${path}.type`, value: type, cause: `plugin type "${type}" is not registered`, remedy });
  }

  /** Adds a plugin of a type under the type's name with default parameters, unless the name is taken. */
  inject(type: string, parameters?: unknown): void {
    const definition = this.#options.registry.get(type);
    if (definition !== undefined && !this.has(type)) this.#add(type, definition, parameters, type, false);
  }

  #add(name: string, definition: AnyPluginDefinition, given: unknown, path: string, declared: boolean): void {
    const { type } = definition;
    const subject = name === type ? `plugin ${type}` : `plugin "${name}" of type ${type}`;
    if (declared) this.#warnOf(definition, subject);
    const report = this.#parameterReport(subject);
    const warn = (text: string): void => report.warn(`${subject}: ${text}`);
    const modern = isRecord(given) ? (definition.migrate?.(given, warn) ?? given) : given;
    const parameters = definition.parameters.read(modern, `${path}.parameters`, report);
    this.#specs.set(name, { name, type, definition, parameters, given, declared });
  }

  #warnOf({ deprecated, create, handledBy, limits, stability }: AnyPluginDefinition, subject: string): void {
    const { report, allowExperimental } = this.#options;
    if (deprecated !== undefined) report.warn(`${subject} is deprecated; use ${deprecated}`);
    if (limits !== undefined) report.warn(`${subject}: ${limits}`);
    else if (create === undefined && handledBy === undefined) report.warn(`${subject} is accepted and has no effect`);
    if (stability === "alpha" && !allowExperimental) report.warn(`${subject} is experimental and may change`);
  }

  #parameterReport(subject: string): Report {
    const { report, strict } = this.#options;
    return {
      unknownKeys: strict ? "error" : "warn",
      error: (error) => report.error({ ...error, cause: `${subject}: ${error.cause}` }),
      warn: (text) => report.warn(text),
    };
  }
}

/** Whether a plugin is of one of the kinds. */
export function isKind(spec: PluginSpec | undefined, ...kinds: readonly PluginKind[]): boolean {
  return spec?.definition.kinds.some((kind) => kinds.includes(kind)) ?? false;
}
