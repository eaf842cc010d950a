import type { Logger } from "../../telemetry/log.ts";
import type { MetricsRegistry } from "../../telemetry/metrics.ts";
import { type ConfigError, formatConfigError } from "../framework/problem.ts";
import { loadConfig, type LoadOptions } from "./load.ts";
import { effectiveConfig } from "./page.ts";
import type { SchedulerConfig } from "./types.ts";

/** What readings of the configuration need and where they are told. */
export interface LiveConfigOptions {
  readonly load: LoadOptions;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Wall clock in ms since the epoch. */
  readonly now: () => number;
}

/** How the last reading ended. */
interface Attempt {
  readonly at: string;
  readonly errors: readonly ConfigError[];
  readonly warnings: readonly string[];
}

/** The configuration in effect: a bad one is told everywhere and changes nothing. */
export class LiveConfig {
  readonly #options: LiveConfigOptions;
  readonly #outcomes;
  readonly #isGood;
  readonly #loadedAt;
  #config: SchedulerConfig | undefined;
  #attempt: Attempt | undefined;
  #good: Attempt | undefined;

  constructor(options: LiveConfigOptions) {
    const { metrics } = options;
    this.#options = options;
    this.#outcomes = metrics.counter({
      name: "endpoint_picker_config_loads_total",
      help: "Readings of the configuration, by outcome.",
      labels: ["outcome"],
    });
    this.#isGood = metrics.gauge({
      name: "endpoint_picker_config_last_load_successful",
      help: "1 if the last reading of the configuration was taken over, else 0.",
    });
    this.#loadedAt = metrics.gauge({
      name: "endpoint_picker_config_loaded_timestamp_seconds",
      help: "When the configuration in effect was taken over, in seconds since the epoch.",
    });
  }

  /**
   * Reads a configuration and has `use` take it over. Throws where it is bad or cannot be used, with all that is wrong;
   * the one in effect stays.
   */
  load(text: string | undefined, use: (config: SchedulerConfig) => void): void {
    const { logger, now } = this.#options;
    const nowMs = now();
    const { config, errors, warnings } = loadConfig(text, this.#options.load);
    this.#attempt = { at: new Date(nowMs).toISOString(), errors, warnings };
    for (const warning of warnings) logger.warn("configuration", { warning });
    try {
      if (config === undefined) throw new Error(describe(errors));
      use(config);
    } catch (error) {
      this.#outcomes.labels("failure").inc();
      this.#isGood.labels().set(0);
      throw error;
    }
    this.#outcomes.labels("success").inc();
    this.#isGood.labels().set(1);
    this.#loadedAt.labels().set(nowMs / 1000);
    this.#config = config;
    this.#good = this.#attempt;
    logger.info("effective configuration", { config: effectiveConfig(config) });
    for (const { name, declared } of config.plugins) if (!declared) logger.info("plugin added by default", { name });
  }

  /** For the debug page: what is in effect, since when, and how the last reading ended. */
  page(): unknown {
    return {
      config: this.#config === undefined ? undefined : effectiveConfig(this.#config),
      loadedAt: this.#good?.at,
      warnings: this.#good?.warnings ?? [],
      lastLoad: {
        at: this.#attempt?.at,
        successful: this.#attempt === this.#good,
        errors: this.#attempt?.errors.map(formatConfigError) ?? [],
      },
    };
  }
}

function describe(errors: readonly ConfigError[]): string {
  return `EndpointPickerConfig cannot be used:\n${errors.map((error) => `  ${formatConfigError(error)}`).join("\n")}`;
}
