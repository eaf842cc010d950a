/** Three schedulers and a fleet of which every endpoint comes or goes once a second, under load. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bench, printTable, quantile, readOptions } from "./support/bench.ts";
import { ChurningFleet, type FateCounts } from "./support/churn-fleet.ts";
import { type ChurnOutcome, loadChurning } from "./support/churn-load.ts";
import { type Usage, usageOf } from "./support/process-usage.ts";
import { bundleScheduler, type SchedulerProcess, startScheduler } from "./support/scheduler-process.ts";

const DEFAULTS = { seconds: "60", endpoints: "50", rate: "1000", schedulers: "3" };

/** Warm-up before memory is looked at, in seconds: heaps reach their size. */
const SETTLE_SECONDS = 5;
const SAMPLE_MS = 5000;

/** How it is run. */
export interface ChurnOptions {
  readonly seconds: number;
  readonly endpoints: number;
  /** Requests a second, over all schedulers. */
  readonly rate: number;
  readonly schedulers: number;
}

/** What came out of it. */
export interface ChurnReport {
  readonly outcome: ChurnOutcome;
  readonly changes: FateCounts;
  /** Of each scheduler, over time. */
  readonly usage: readonly (readonly Usage[])[];
  /** CPU seconds of all that is there for the schedulers' sake: load and API server, and the model servers. */
  readonly aroundCpuSeconds: { readonly load: number; readonly servers: number };
}

/** Runs fleet, schedulers and load for a time. */
export async function runChurn({ seconds, endpoints, rate, schedulers }: ChurnOptions): Promise<ChurnReport> {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-churn-"));
  const closers: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true })];
  try {
    const fleet = await ChurningFleet.start(endpoints, folder);
    closers.unshift(() => fleet.close());
    const bundle = await bundleScheduler(folder, false);
    const processes: SchedulerProcess[] = [];
    closers.unshift(async () => {
      await Promise.all(processes.map(({ child }) => child.stop()));
    });
    for (let i = 0; i < schedulers; i++) processes.push(await startScheduler(bundle, fleet));
    await Promise.all(processes.map((scheduler) => scheduler.hasScraped(endpoints)));
    fleet.churn(1000);
    const addresses = processes.map(({ address }) => address);
    await loadChurning(fleet, addresses, rate, Math.min(SETTLE_SECONDS, seconds / 4));
    const usage = processes.map((): Usage[] => []);
    const sample = (): void =>
      processes.forEach(({ child }, index) => {
        usage[index]?.push(usageOf(child.pid));
      });
    const around = (): number[] => [process.pid, fleet.serversPid].map((pid) => usageOf(pid).cpuSeconds);
    const before = around();
    sample();
    const timer = setInterval(sample, SAMPLE_MS);
    const outcome = await loadChurning(fleet, addresses, rate, seconds).finally(() => clearInterval(timer));
    sample();
    const [load = 0, servers = 0] = around().map((seconds, index) => seconds - before[index]!);
    return { outcome, changes: fleet.counts, usage, aroundCpuSeconds: { load, servers } };
  } finally {
    for (const close of closers) await close();
  }
}

function print({ outcome, changes, usage, aroundCpuSeconds }: ChurnReport, seconds: number): void {
  const { sent, answered, lost, goneForMs, latenciesMs, longestPauseMs } = outcome;
  const rate = (sent / seconds).toFixed(0);
  console.log(`requests: ${sent} sent (${rate}/s), ${answered} answered with a destination, ${sent - answered} lost`);
  for (const [cause, count] of lost) console.log(`  lost: ${count} × ${cause}`);
  console.log(
    `changes: ${Object.entries(changes)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ")}`,
  ); // prettier-ignore
  const worst = Math.max(0, ...goneForMs);
  console.log(
    `sent to an endpoint that a watch beside had seen go: ${goneForMs.length} (${((goneForMs.length / Math.max(1, answered)) * 1e6).toFixed(0)} in a million), at most ${worst.toFixed(1)} ms before`,
  );
  const [p50 = "", p99 = ""] = [0.5, 0.99].map((share) => quantile(latenciesMs, share).toFixed(1));
  console.log(`destination after: p50 ${p50} ms, p99 ${p99} ms`);
  console.log(`longest pause of the load itself: ${longestPauseMs.toFixed(0)} ms`);
  const { load, servers } = aroundCpuSeconds;
  console.log(`CPU around them: load and API server ${load.toFixed(1)} s, model servers ${servers.toFixed(1)} s`);
  printTable([
    ["scheduler", "CPU-s", "RSS MiB at start", "after a third", "after two thirds", "at the end", "most"],
    ...usage.map((samples, index) => {
      const rss = (at: number): string => (samples[Math.floor(at * (samples.length - 1))]?.rssMiB ?? 0).toFixed(0);
      const cpu = (samples.at(-1)?.cpuSeconds ?? 0) - (samples[0]?.cpuSeconds ?? 0);
      const most = Math.max(...samples.map(({ rssMiB }) => rssMiB));
      return [String(index), cpu.toFixed(1), rss(0), rss(1 / 3), rss(2 / 3), rss(1), most.toFixed(0)];
    }),
  ]);
}

export default {
  description: "three schedulers, 50 endpoints that come and go every second, 1,000 req/s (make soak: ten minutes)",
  smallest: ["--seconds=1", "--endpoints=10", "--rate=50", "--schedulers=2"],
  run: async (args) => {
    const { seconds, endpoints, rate, schedulers } = readOptions(args, DEFAULTS);
    const options = { seconds: Number(seconds), endpoints: Number(endpoints), rate: Number(rate) };
    print(await runChurn({ ...options, schedulers: Number(schedulers) }), options.seconds);
  },
} satisfies Bench;
