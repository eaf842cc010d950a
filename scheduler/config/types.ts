import type { AnyPluginDefinition, Stages } from "../framework/plugin.ts";
import type { ConfigError } from "../framework/problem.ts";
import type { FlowControlConfig } from "./flow-control.ts";
import type { FeatureGates } from "./gates.ts";

/** A plugin instance to be made. */
export interface PluginSpec {
  readonly name: string;
  readonly type: string;
  readonly definition: AnyPluginDefinition;
  /** As the definition's schema read them. */
  readonly parameters: unknown;
  /** As they are written in the document. */
  readonly given: unknown;
  /** Whether the document declares it; else it was added for one that needs it. */
  readonly declared: boolean;
}

/** A profile: plugin instances in their order; weights matter for scorers alone. */
export interface ProfileSpec {
  readonly name: string;
  readonly plugins: readonly { readonly plugin: string; readonly weight: number }[];
}

/** A source of data and the extractors that read it, by plugin name. */
export interface DataSourceSpec {
  readonly source: string;
  readonly extractors: readonly string[];
}

/** An EndpointPickerConfig with all defaults filled in. */
export interface SchedulerConfig {
  readonly plugins: readonly PluginSpec[];
  readonly profiles: readonly ProfileSpec[];
  /** Name of the profile handler. */
  readonly handler: string;
  readonly stages: Stages;
  /** Types of the parsers it names; undefined: the default ones. */
  readonly parserTypes: readonly string[] | undefined;
  readonly gates: FeatureGates;
  readonly flowControl: FlowControlConfig;
  /** Name of the saturation detector. */
  readonly saturationDetector: string;
  readonly dataSources: readonly DataSourceSpec[];
  /** Name of the plugin that discovers endpoints instead of Kubernetes; undefined: none. */
  readonly discovery: string | undefined;
  /** Raw parameters of the metrics source and the extractor, by plugin type. */
  readonly dataLayer: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

/** What a reading gave. With errors `config` is undefined. */
export interface LoadedConfig {
  readonly config: SchedulerConfig | undefined;
  readonly errors: readonly ConfigError[];
  readonly warnings: readonly string[];
}
