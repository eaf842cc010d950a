import type { Random } from "../engine/random.ts";
import type { Clock, EngineDriver } from "./driver.ts";
import type { LoraModule, SimulatorOptions } from "./options.ts";
import type { Stats } from "./stats.ts";

/** What the routes of one simulated server share. */
export interface Context {
  readonly options: SimulatorOptions;
  readonly driver: EngineDriver;
  readonly stats: Stats;
  readonly clock: Clock;
  /** Wall clock in ms. */
  readonly wallClock: () => number;
  readonly random: Random;
  /** Adapters by name. */
  readonly loras: Map<string, LoraModule>;
  readonly readyAtMs: number;
  /** Identity of this run, by which other engines name blocks that it holds. */
  readonly engineId: string;
  /** Address that other engines reach this server by. */
  readonly address: { readonly host: string; readonly port: number };
  /** Requests taken so far. */
  requests: number;
}
