import { describeError } from "../../telemetry/log.ts";
import { createRandom } from "../../simulator/engine/random.ts";
import type { Chance } from "./mutate.ts";

/** Something that must stand every input. */
export interface Target {
  readonly name: string;
  /** Makes one input and tries it; throws where something is wrong. */
  attempt(chance: Chance): void;
  /** What is wrong after all attempts, such as something that grew; undefined: nothing. */
  verdict?(): Promise<string | undefined>;
}

/** An attempt that failed; its number with the seed makes it again. */
export interface Failure {
  readonly iteration: number;
  readonly message: string;
}

/** What a run has shown. */
export interface FuzzReport {
  readonly target: string;
  readonly iterations: number;
  readonly failures: readonly Failure[];
  /** The longest attempt in ms, as far as it is long again when repeated: all else is the machine's. */
  readonly longestMs: number;
  readonly longestIteration: number;
  /** The longest attempt in ms as it was seen, collection of garbage and other work of the machine included. */
  readonly longestSeenMs: number;
  /** Growth of the resident set after the first tenth of the run, in MiB: what the heap takes in reserve is in it. */
  readonly growthMiB: number;
  /** Growth of what is alive after a collection, heap and buffers, after the same time, in MiB; 0 where it was not asked for. */
  readonly liveGrowthMiB: number;
  readonly perSecond: number;
}

/** How long to go on. */
export interface FuzzLimits {
  readonly seed: number;
  readonly iterations: number;
  /** Ends earlier after this many ms. */
  readonly maxMs: number;
  /** The number of the first attempt, to make one again. */
  readonly first?: number;
  /** Bytes alive after a collection of garbage: more than `MAX_LIVE_GROWTH_MIB` of growth is a failure. Absent: not looked at. */
  readonly liveBytes?: () => number | Promise<number>;
}

/** Failures that are kept: the first ones tell. */
const MAX_FAILURES = 10;
const BYTES_PER_MIB = 1024 * 1024;
/** Caches and tables may still fill up after the first tenth. */
const MAX_LIVE_GROWTH_MIB = 8;
/** Makes neighbouring attempts differ (2^32 divided by the golden ratio). */
const SPREAD = 2654435761;

/** Tries a target again and again with inputs that depend on seed and number alone. */
export async function fuzz(target: Target, limits: FuzzLimits): Promise<FuzzReport> {
  const { seed, iterations, maxMs, first = 0, liveBytes = () => 0 } = limits;
  const failures: Failure[] = [];
  const startedAtMs = performance.now();
  const attempt = (iteration: number): number => {
    const beganAtMs = performance.now();
    try {
      target.attempt(createRandom(seed + iteration * SPREAD));
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : describeError(error);
      failures.push({ iteration, message });
    }
    return performance.now() - beganAtMs;
  };
  let [longestMs, longestSeenMs, longestIteration, done, baseline] = [0, 0, -1, 0, process.memoryUsage.rss()];
  let live: number | undefined;
  for (; done < iterations && failures.length < MAX_FAILURES; done++) {
    const iteration = first + done;
    const sinceMs = performance.now() - startedAtMs;
    if (sinceMs > maxMs) break;
    const failed = failures.length;
    const tookMs = attempt(iteration);
    longestSeenMs = Math.max(longestSeenMs, tookMs);
    if (tookMs > longestMs && failures.length === failed) {
      const ownMs = Math.min(tookMs, attempt(iteration), attempt(iteration));
      if (ownMs > longestMs) [longestMs, longestIteration] = [ownMs, iteration];
    }
    const tenth = sinceMs < maxMs / 10 && done < iterations / 10;
    if (tenth) baseline = Math.max(baseline, process.memoryUsage.rss());
    else live ??= await liveBytes();
    // Promises and timers of what was tried get their turn.
    if (done % 256 === 255) await new Promise((resolve) => setImmediate(resolve));
  }
  const liveInTheEnd = await liveBytes();
  const liveGrowthMiB = (liveInTheEnd - (live ?? liveInTheEnd)) / BYTES_PER_MIB;
  if (liveGrowthMiB > MAX_LIVE_GROWTH_MIB)
    failures.push({ iteration: -1, message: `live memory grew by ${liveGrowthMiB.toFixed(1)} MiB` });
  const verdict = await target.verdict?.();
  if (verdict !== undefined) failures.push({ iteration: -1, message: verdict });
  const seconds = (performance.now() - startedAtMs) / 1000;
  return {
    target: target.name,
    iterations: done,
    failures,
    longestMs,
    longestIteration,
    longestSeenMs,
    liveGrowthMiB,
    growthMiB: (process.memoryUsage.rss() - baseline) / BYTES_PER_MIB,
    perSecond: done / seconds,
  };
}
