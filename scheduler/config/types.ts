import type { AnyPluginDefinition } from "../framework/plugin.ts";
import type { ConfigError } from "../framework/problem.ts";

/** A plugin instance to be made. */
export interface PluginSpec {
  readonly name: string;
  readonly type: string;
  readonly definition: AnyPluginDefinition;
  /** As the definition's schema read them. */
  readonly parameters: unknown;
}

/** A profile: plugin instances in their order; weights matter for scorers alone. */
export interface ProfileSpec {
  readonly name: string;
  readonly plugins: readonly { readonly plugin: string; readonly weight: number }[];
}

/** An EndpointPickerConfig with all defaults filled in. */
export interface SchedulerConfig {
  readonly plugins: readonly PluginSpec[];
  readonly profiles: readonly ProfileSpec[];
  /** Name of the profile handler. */
  readonly handler: string;
  /** Types of the parsers it names; undefined: the default ones. */
  readonly parserTypes: readonly string[] | undefined;
  /** Raw parameters of the metrics source and the extractor, by plugin type. */
  readonly dataLayer: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

/** What a reading gave. With errors `config` is undefined. */
export interface LoadedConfig {
  readonly config: SchedulerConfig | undefined;
  readonly errors: readonly ConfigError[];
  readonly warnings: readonly string[];
}
