import { spawnSync } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { quantile } from "../../bench/support/bench.ts";
import { until } from "../../playground/until.ts";
import { describeError } from "../../telemetry/log.ts";
import { haveComponents } from "../cluster/toolbox.ts";
import type { FailureLine } from "../envoy/config.ts";
import { type Bed, ROUTES, SERVICE, startBed } from "./bed.ts";
import { type Verdict, judge, leftovers, orphans, readLines, writesBetween } from "./checks.ts";
import { FAULTS, type FaultName, type Kill, PASSING_SERVICES, removeServices } from "./faults.ts";
import { type Load, startLoad } from "./load.ts";
import { planFaults } from "./schedule.ts";

const USAGE = `make chaos ARGS="[--minutes N] [--rate N] [--seed N] [--every N] [--rest N] [--only TEXT] [--without TEXT]"

Runs operators, schedulers and simulated model servers on a real API server behind a real Envoy, does harm to them on a
schedule that the seed determines, and looks whether requests were lost, objects left behind, or anything is written once
all is at rest. Ends with 1 where that is so. Needs the components of test/cluster/install.ts, unshare and ip.

  --minutes N  time under load (default 5)
  --rate N     requests a second (default 25)
  --seed N     seed of the schedule (default 1)
  --every N    seconds from one fault to the next (default 15)
  --rest N     seconds without a write in the end (default 60)
  --only TEXT  faults whose names contain it, and no others
  --without TEXT  all faults but those
`;

/** Set in the process that runs inside a network namespace of its own. */
const INSIDE = "LLMISVC_CHAOS_INSIDE";
const NETWORK = new URL("../cluster/in-network.sh", import.meta.url).pathname;
/** The proxy writes its log every ten seconds. */
const LOG_FLUSH_MS = 12_000;
const RECOVERY_MS = 180_000;
const CALM_MS = 20_000;
const PROGRESS_MS = 60_000;

interface Options {
  readonly minutes: number;
  readonly rate: number;
  readonly seed: number;
  readonly every: number;
  readonly rest: number;
  readonly only: string;
  readonly without: string;
}

const say = (text: string): void => void process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);

function readOptions(): Options | undefined {
  const text = (value: number) => ({ type: "string", default: String(value) }) as const;
  const { values } = parseArgs({
    options: {
      minutes: text(5),
      rate: text(25),
      seed: text(1),
      every: text(15),
      rest: text(60),
      only: { type: "string", default: "" },
      without: { type: "string", default: "" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const number = (name: "minutes" | "rate" | "seed" | "every" | "rest"): number => Number(values[name]);
  const options = {
    minutes: number("minutes"),
    rate: number("rate"),
    seed: number("seed"),
    every: number("every"),
    rest: number("rest"),
    only: values.only,
    without: values.without,
  };
  const isWrong = Object.values(options).some((value) => typeof value === "number" && !(value > 0));
  return values.help || isWrong ? undefined : options;
}

/** What happened to the run's faults. */
interface Harm {
  readonly kills: readonly Kill[];
  readonly counts: Readonly<Record<string, number>>;
  /** Faults that could not be done, with why. */
  readonly failed: readonly string[];
}

async function harm(bed: Bed, { minutes, seed, every, only, without }: Options): Promise<Harm> {
  const kills: Kill[] = [];
  const counts: Record<string, number> = {};
  const failed: string[] = [];
  const startedAt = performance.now();
  const names = (Object.keys(FAULTS) as FaultName[]).filter(
    (name) => name.includes(only) && (without === "" || !name.includes(without)),
  );
  for (const { atMs, fault, draw } of planFaults(names, seed, minutes * 60_000, every * 1000)) {
    await pause(Math.max(0, startedAt + atMs - performance.now()));
    try {
      say(`${fault}: ${await FAULTS[fault]({ bed, draw, kills })}`);
      counts[fault] = (counts[fault] ?? 0) + 1;
    } catch (error) {
      failed.push(`${fault}: ${describeError(error)}`);
      say(`${fault} failed: ${describeError(error)}`);
    }
  }
  await pause(Math.max(0, startedAt + minutes * 60_000 - performance.now()));
  return { kills, counts, failed };
}

function printLoad({ counts }: Load, verdict: Verdict): void {
  const { sent, served, latenciesMs } = counts;
  say(`requests: ${sent} sent, ${served} served, ${sent - served} not`);
  const sorted = Float64Array.from(latenciesMs).sort();
  say(`latency: p50 ${quantile(sorted, 0.5)} ms, p99 ${quantile(sorted, 0.99)} ms`);
  say(`not served, on a killed pod: ${verdict.onKilledPods.length}`);
  say(`not served, stream given to a killed scheduler (duplex): ${verdict.onKilledSchedulers.length}`);
  say(`lost: ${verdict.lost.length}`);
  for (const loss of verdict.lost.slice(0, 50))
    say(`  ${new Date(loss.startedAt).toISOString()} +${loss.endedAt - loss.startedAt} ms ${JSON.stringify(loss)}`);
}

/** Counters of the proxy for what a server may not do; its count of protocol errors holds connections that it closed itself. */
const VIOLATIONS = [
  "rx_messaging_error",
  "header_overflow",
  "inbound_empty_frames_flood",
  "inbound_priority_frames_flood",
  "inbound_window_update_frames_flood",
] as const;

/** What the proxy has against the HTTP/2 of the schedulers. */
async function violations({ envoy }: Bed): Promise<string[]> {
  const stats = VIOLATIONS.map((name) => `cluster.picker.http2.${name}`);
  const counts = await Promise.all(stats.map(async (name) => [name, await envoy.stat(name)] as const));
  return counts.filter(([, count]) => count > 0).map(([name, count]) => `${name}: ${count}`);
}

/** Writes in a time in which nothing is asked for. */
async function rest(bed: Bed, seconds: number): Promise<string[]> {
  await pause(CALM_MS);
  const from = Date.now();
  await pause(seconds * 1000);
  const to = Date.now();
  return writesBetween(bed.files.audit, from, to);
}

function printList(what: string, items: readonly string[]): void {
  say(`${what}: ${items.length}`);
  for (const item of items.slice(0, 50)) say(`  ${item}`);
}

/** Waits until all is as asked for, and returns what deleted services have left behind by then. */
async function recover(bed: Bed): Promise<string[]> {
  const startedAt = performance.now();
  let left: string[] = [];
  await until(
    "deleted services are gone",
    async () => {
      left = await leftovers(bed.client, "default", PASSING_SERVICES);
      return left.length === 0;
    },
    { timeoutMs: RECOVERY_MS },
  ).catch(() => undefined);
  await bed.settled(RECOVERY_MS);
  say(`all as asked for after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return left;
}

async function run(options: Options): Promise<boolean> {
  const bed = await startBed((text) => process.stdout.write(text));
  try {
    const urls = new Map(Object.keys(ROUTES).map((name) => [name, bed.envoy.url(name)]));
    const load = startLoad({ urls, model: SERVICE, perSecond: options.rate });
    say(`under load: ${JSON.stringify(options)}`);
    const progress = setInterval(() => {
      const { sent, served, failures } = load.counts;
      say(`  ${sent} sent, ${served} served, ${failures.length} failed`);
    }, PROGRESS_MS);
    const harmed = await harm(bed, options).finally(() => clearInterval(progress));
    await load.stop();
    say("load ended; recovery");
    bed.proxy.release();
    bed.setClock(0);
    await removeServices(bed);
    const left = await recover(bed);
    await pause(LOG_FLUSH_MS);
    const lines = readLines<FailureLine>(bed.files.failures);
    const verdict = judge(load.counts.failures, lines, harmed.kills);
    const broken = await violations(bed);
    const writes = await rest(bed, options.rest);
    left.push(...(await orphans(bed.client)));
    say(`faults: ${JSON.stringify(harmed.counts)}`);
    printLoad(load, verdict);
    printList("violations of HTTP/2", broken);
    printList("faults that could not be done", harmed.failed);
    printList("orphans", left);
    printList(`writes in ${options.rest} s of rest`, writes);
    return verdict.lost.length + broken.length + left.length + writes.length + harmed.failed.length === 0;
  } finally {
    await bed.close();
  }
}

const options = readOptions();
if (options === undefined) {
  process.stdout.write(USAGE);
} else if (process.env[INSIDE] === undefined) {
  haveComponents("chaos", "kubernetes", "envoy");
  const { status } = spawnSync(NETWORK, [process.execPath, "--no-warnings", ...process.argv.slice(1)], {
    env: { ...process.env, [INSIDE]: "1" },
    stdio: "inherit",
  });
  process.exitCode = status ?? 1;
} else {
  const passed = await run(options);
  say(passed ? "passed" : "FAILED");
  process.exit(passed ? 0 : 1);
}
