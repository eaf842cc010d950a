import { isDeepStrictEqual } from "node:util";
import type { PluginSpec, ProfileSpec, SchedulerConfig } from "../config/types.ts";
import type { Random } from "../framework/cycle.ts";
import { type DataHandle, type DataKey, PREFIX_MATCH, type PrefixMatch, resolveProducer } from "../framework/data.ts";
import type { EndpointColumns } from "../framework/endpoint.ts";
import type { Plugin, PluginContext, PluginKind } from "../framework/plugin.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { MetricsRegistry } from "../../telemetry/metrics.ts";
import { schedulingMetricsOf } from "../metrics/scheduling-metrics.ts";
import { SchedulingCycle } from "./cycle.ts";
import { instrument } from "./instrument.ts";
import { reusing } from "./plugin-metrics.ts";
import { createProfile, type Profile, type ProfileMember } from "./profile.ts";

const METRICS_INTERVAL_MS = 50;

/** What plugins are made with. */
export interface PipelineOptions {
  readonly config: SchedulerConfig;
  readonly endpoints: EndpointColumns;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Monotonic ms, by which plugins are timed; default: the process's clock. */
  readonly now?: () => number;
  /** HTTP client of plugins; default: the runtime's. */
  readonly fetch?: typeof fetch;
  /** Between two readings of an endpoint's metrics while requests arrive, in ms; default 50. */
  readonly metricsIntervalMs?: number;
  /** What the instances of the configuration before remember; absent: there was none. */
  readonly kept?: Kept;
  /** Environment of the process, for plugins that outside services are configured by. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** What each instance remembers, and the declaration that it was made from. */
export type Kept = ReadonlyMap<string, Pick<PluginSpec, "type" | "parameters"> & { readonly memory: unknown }>;

/** Plugin instances of a configuration in the order of their work. */
export interface Pipeline {
  readonly cycle: SchedulingCycle;
  readonly handler: Plugin;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly profileNames: readonly string[];
  readonly producers: readonly Plugin[];
  /** All instances in the order of declaration. */
  readonly plugins: readonly Plugin[];
  /** Tells whether requests of negative priority are shed. */
  readonly detector: Plugin;
  readonly screeners: readonly Plugin[];
  readonly admitters: readonly Plugin[];
  /** Positions in `producers` of those that ask somebody outside first, with their plugin index. */
  readonly preparers: readonly { readonly at: number; readonly index: number; readonly plugin: Plugin }[];
  /** Prefix match of the first producer of one; undefined: nobody looks for prefixes. */
  readonly prefixMatch: DataHandle<PrefixMatch> | undefined;
  /** Instances that hear of each decision, with how to name them. */
  readonly announced: readonly { readonly type: string; readonly name: string; readonly plugin: Plugin }[];
  /** For the pipeline that takes this one's place. */
  readonly kept: Kept;
  /** Whether any instance follows the answers' bodies. */
  readonly wantsResponseBody: boolean;
  /** Whether requests wait in queues while the pool is full, instead of being shed. */
  readonly queues: boolean;
  /** An instance by its name; throws where there is none. */
  plugin(name: string): Plugin;
  /** Handle to data of a producer, for whoever looks at decisions from outside. */
  data<T>(key: DataKey<T>, producer: string): DataHandle<T>;
  /** State of each instance that shows some. */
  dump(): Readonly<Record<string, unknown>>;
}

/** Makes the plugins of a checked configuration. */
export function createPipeline(options: PipelineOptions): Pipeline {
  const builder = new Builder(options);
  const { config } = options;
  const plugins = config.plugins.map(({ name }) => builder.plugin(name));
  const cycle = new SchedulingCycle(options.endpoints, options.random, builder.records);
  const profiles = config.profiles.map((spec) => {
    return [spec.name, createProfile(spec.name, membersOf(spec, config, builder))] as const;
  });
  const producers = inOrder(config.plugins);
  const preparers = producers.flatMap((spec, at) => {
    const plugin = builder.plugin(spec.name);
    return plugin.prepare === undefined ? [] : [{ at, index: config.plugins.indexOf(spec), plugin }];
  });
  return {
    cycle,
    handler: builder.plugin(config.handler),
    profiles: new Map(profiles),
    profileNames: config.profiles.map(({ name }) => name),
    producers: producers.map(({ name }) => builder.plugin(name)),
    plugins,
    detector: builder.plugin(config.saturationDetector),
    screeners: plugins.filter(({ screen }) => screen !== undefined),
    admitters: plugins.filter(({ admit }) => admit !== undefined),
    preparers,
    prefixMatch: builder.prefixMatch(),
    announced: config.plugins
      .map(({ type, name }) => ({ type, name, plugin: builder.plugin(name) }))
      .filter(({ plugin }) => plugin.preRequest !== undefined),
    queues: config.gates.flowControl,
    plugin: (name) => builder.plugin(name),
    kept: builder.kept,
    wantsResponseBody: plugins.some(({ wantsResponseBody }) => wantsResponseBody === true),
    data: (key, producer) => builder.data(key, producer),
    dump: () =>
      Object.fromEntries(config.plugins.map(({ name }) => [name, builder.plugin(name).dumpState?.() ?? null] as const)),
  };
}

function membersOf({ plugins }: ProfileSpec, config: SchedulerConfig, builder: Builder): readonly ProfileMember[] {
  return plugins.map(({ plugin: name, weight }) => {
    const spec = config.plugins.find((other) => other.name === name);
    const { type = name, parameters, definition } = spec ?? {};
    const description = definition?.description ?? "";
    return { name, type, description, parameters, weight, plugin: builder.plugin(name) };
  });
}

/** Producers, each after those whose data it reads. */
function inOrder(specs: readonly PluginSpec[]): readonly PluginSpec[] {
  const kind: PluginKind = "data-producer";
  const left = new Map(
    specs.filter(({ definition }) => definition.kinds.includes(kind)).map((spec) => [spec.name, spec]),
  );
  const order: PluginSpec[] = [];
  const visit = (spec: PluginSpec): void => {
    left.delete(spec.name);
    for (const { key, producer } of spec.definition.consumes?.(spec.parameters) ?? []) {
      const before = left.get(resolveProducer(key, producer, specs));
      if (before !== undefined) visit(before);
    }
    order.push(spec);
  };
  for (const spec of specs) if (left.has(spec.name)) visit(spec);
  return order;
}

class Builder {
  readonly records: unknown[] = [];
  readonly kept = new Map<string, Pick<PluginSpec, "type" | "parameters"> & { readonly memory: unknown }>();
  readonly #options: PipelineOptions;
  readonly #instances = new Map<string, Plugin>();
  readonly #recordIndexes = new Map<string, number>();

  readonly #now: () => number;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  plugin(name: string): Plugin {
    const known = this.#instances.get(name);
    if (known !== undefined) return known;
    const index = this.#options.config.plugins.findIndex((spec) => spec.name === name);
    const spec = this.#options.config.plugins[index];
    if (spec === undefined) throw new Error(`no plugin "${name}" in the configuration`);
    const made = spec.definition.create?.(spec.parameters, this.#context(spec, index)) ?? {};
    instrument(made, spec, schedulingMetricsOf(this.#options.metrics), this.#now);
    this.#instances.set(name, made);
    return made;
  }

  data<T>(key: DataKey<T>, producer: string): DataHandle<T> {
    return this.#handle(key, producer);
  }

  prefixMatch(): DataHandle<PrefixMatch> | undefined {
    const producer = this.#options.config.plugins.find(({ definition }) => definition.produces?.includes(PREFIX_MATCH));
    return producer === undefined ? undefined : this.#handle(PREFIX_MATCH, producer.name);
  }

  #keep<T>({ name, type, parameters }: PluginSpec, make: () => T): T {
    const before = this.#options.kept?.get(name);
    const isSame = before?.type === type && isDeepStrictEqual(before.parameters, parameters);
    // The predecessor of the same type made it by the same function.
    const memory = isSame ? (before.memory as T) : make();
    this.kept.set(name, { type, parameters, memory });
    return memory;
  }

  #context(spec: PluginSpec, index: number): PluginContext {
    const { name } = spec;
    const { config, endpoints, logger, metrics, environment = {}, fetch = globalThis.fetch } = this.#options;
    const { metricsIntervalMs = METRICS_INTERVAL_MS } = this.#options;
    return {
      name,
      index,
      endpoints,
      logger: logger.child({ plugin: name }),
      metrics: reusing(metrics),
      environment,
      now: this.#now,
      metricsIntervalMs,
      fetch,
      keep: (make) => this.#keep(spec, make),
      data: (key, producer) => this.#handle(key, producer),
      isConsumed: (key, producer) =>
        config.plugins.some(({ definition, parameters }) =>
          definition
            .consumes?.(parameters)
            .some((use) => use.key === key && resolveProducer(key, use.producer, config.plugins) === producer),
        ),
      plugin: (other) => this.plugin(other),
      stages: config.stages,
    };
  }

  #handle<T>(key: DataKey<T>, wanted: string): DataHandle<T> {
    const producer = resolveProducer(key, wanted, this.#options.config.plugins);
    const id = `${key.name}/${producer}`;
    const index = this.#recordIndexes.get(id) ?? this.records.push(key.create()) - 1;
    this.#recordIndexes.set(id, index);
    // The record of this index was made by `key.create`.
    return { of: (cycle) => cycle.records[index] as T };
  }
}
