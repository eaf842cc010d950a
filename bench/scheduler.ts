/** The scheduler process alone: requests as a proxy sends them, against endpoints whose metrics are really read. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { at, createExtProcClient, setHeaders } from "../test/extproc-client.ts";
import { type Bench, printTable, quantile, readOptions } from "./support/bench.ts";
import { PROCESS_PATH, framedRequest, requestMessages } from "./support/ext-proc.ts";
import { type Fleet, startFleet } from "./support/fleet.ts";
import { type LoadResult, h2loadVersion, runLoad } from "./support/h2load.ts";
import { usageOf } from "./support/process-usage.ts";
import { printProfile } from "./support/profile.ts";
import { type PromptSet, chatPrompts } from "./support/prompts.ts";
import { type SchedulerProcess, bundleScheduler, startScheduler } from "./support/scheduler-process.ts";

const DEFAULTS = {
  /** Prompt sizes in KB. */
  sizes: "2,40,220",
  endpoints: "100",
  /** Share of the usual number of requests. */
  scale: "1",
  /** Seconds at the pace of a busy pool with hardly a request. */
  trickle: "5",
  /** Seconds without requests. */
  idle: "10",
  /** Whether the proxy speaks TLS. */
  tls: "false",
  /** Folder for a CPU profile of the scheduler, whose summary is printed. */
  profile: "",
};

const MODEL = "meta-llama/Llama-3.1-8B-Instruct";
/** Distinct bodies for each size. */
const BODIES = 64;
/** Connections at once, each with its own body; a proxy has one for each of its worker threads. */
const CONNECTIONS = 8;
const STREAMS = 16;
/** Bytes that are sent for each size at scale 1: long enough to be past all warm-up. */
const SIZE_BUDGET = 400_000_000;
const MAX_REQUESTS = 64_000;

/** What one size cost. */
interface Row {
  readonly size: string;
  readonly requests: number;
  readonly perSecond: number;
  readonly cpuPerThousand: number;
  /** The same without what reading metrics costs in that time. */
  readonly ownPerThousand: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssMiB: number;
}

export default {
  description: "requests and idle cost of the scheduler process (h2load, 100 scraped endpoints)",
  smallest: ["--sizes=2", "--endpoints=4", "--scale=0.001", "--trickle=1", "--idle=0.5"],
  run: async (args) => {
    const options = readOptions(args, DEFAULTS);
    const version = h2loadVersion();
    if (version === undefined)
      return console.log("skipped: h2load is not installed (Debian and Ubuntu: apt-get install nghttp2-client)");
    const folder = mkdtempSync(join(tmpdir(), "llmisvc-bench-"));
    const closers: (() => Promise<void>)[] = [() => Promise.resolve(rmSync(folder, { recursive: true }))];
    try {
      const fleet = await startFleet(Number(options.endpoints), folder);
      closers.unshift(() => fleet.close());
      const profiled = options.profile !== "";
      const nodeFlags = profiled ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : [];
      const bundle = await bundleScheduler(folder, profiled);
      const scheduler = await startScheduler(bundle, fleet, { tls: options.tls === "true", nodeFlags });
      closers.unshift(() => scheduler.child.stop());
      await scheduler.hasScraped(fleet.endpoints.size);
      describe(version, fleet, scheduler);
      await measure(scheduler, fleet, folder, options);
      if (!profiled) return;
      await scheduler.child.stop();
      printProfile(options.profile, bundle);
    } finally {
      for (const close of closers) await close();
    }
  },
} satisfies Bench;

function describe(h2load: string, { endpoints, metricsPage }: Fleet, { certificate }: SchedulerProcess): void {
  const cpu = cpus();
  console.log(`node ${process.version}, ${h2load}, ${cpu.length} × ${cpu[0]?.model ?? "unknown CPU"}`);
  const transport = certificate === undefined ? "no TLS" : "TLS";
  console.log(
    `scheduler: esbuild bundle of cmd/scheduler, --max-semi-space-size=32, default configuration, ${transport}`,
  );
  console.log(
    `endpoints: ${endpoints.size} ready pods of the embedded API server, each scraped every 50 ms (${metricsPage})`,
  );
  console.log(
    `load: ${BODIES} distinct chat bodies for each size, every eight share their first half; request headers and body in ` +
      `messages of at most 16 KB; ${CONNECTIONS} connections × ${STREAMS} streams, closed loop`,
  );
}

async function measure(
  scheduler: SchedulerProcess,
  fleet: Fleet,
  folder: string,
  options: Readonly<Record<keyof typeof DEFAULTS, string>>,
): Promise<void> {
  const rows: Row[] = [];
  const scrapingCores = await coresOfScraping(scheduler, fleet, Number(options.trickle));
  for (const size of options.sizes.split(",").map(Number)) {
    const prompts = chatPrompts(size * 1000, BODIES, MODEL);
    await verifyAnswers(scheduler, fleet, prompts);
    const requests = Math.min(MAX_REQUESTS, SIZE_BUDGET / (size * 1000)) * Number(options.scale);
    await loadWith(scheduler, prompts, folder, Math.ceil(requests / BODIES / 4));
    rows.push(await measureSize(scheduler, prompts, folder, Math.ceil(requests / BODIES), scrapingCores));
  }
  printTable([
    ["prompt", "requests", "req/s", "CPU-s/1000", "…without scrapes", "req/CPU-s", "p50 ms", "p99 ms", "RSS MiB"],
    ...rows.map((row) => [
      row.size,
      String(row.requests),
      row.perSecond.toFixed(0),
      row.cpuPerThousand.toFixed(3),
      row.ownPerThousand.toFixed(3),
      (1000 / row.cpuPerThousand).toFixed(0),
      row.p50Ms.toFixed(2),
      row.p99Ms.toFixed(2),
      row.rssMiB.toFixed(0),
    ]),
  ]);
  await measureIdle(scheduler, fleet, Number(options.idle));
}

/** Sends each body once and looks at the answer. Throws where it is not a pick and the whole body. */
async function verifyAnswers(scheduler: SchedulerProcess, fleet: Fleet, { bodies }: PromptSet): Promise<void> {
  const client = createExtProcClient(scheduler.address, scheduler.certificate);
  for (const body of bodies) {
    const stream = client.open();
    for (const message of requestMessages("bench-probe", body)) stream.send(message);
    stream.halfClose();
    const head = await stream.next();
    const destination = setHeaders(head, "request_headers.response.header_mutation")["x-gateway-destination-endpoint"];
    if (destination === undefined || !fleet.endpoints.has(destination))
      throw new Error(`the answer names no endpoint of the pool: ${JSON.stringify(head)}`);
    const parts: Buffer[] = [];
    for (let done = false; !done; ) {
      const chunk = at(await stream.next(), "request_body.response.body_mutation.streamed_response");
      const bytes = at(chunk, "body");
      if (Buffer.isBuffer(bytes)) parts.push(bytes);
      done = at(chunk, "end_of_stream") === true;
    }
    if (!Buffer.concat(parts).equals(body)) throw new Error("the body that came back is not the one sent");
    const status = await stream.status;
    if (status !== 0) throw new Error(`the stream ended with status ${status}`);
  }
  client.close();
}

async function measureSize(
  scheduler: SchedulerProcess,
  prompts: PromptSet,
  folder: string,
  requestsPerBody: number,
  scrapingCores: number,
): Promise<Row> {
  const { pid } = scheduler.child;
  const startMs = performance.now();
  const before = usageOf(pid);
  const picksBefore = await scheduler.metric("endpoint_picker_picks_total");
  const rounds = await loadWith(scheduler, prompts, folder, requestsPerBody);
  const { cpuSeconds, rssMiB } = usageOf(pid);
  const scrapingSeconds = (scrapingCores * (performance.now() - startMs)) / 1000;
  const results = rounds.flat();
  const requests = results.reduce((sum, { succeeded }) => sum + succeeded, 0);
  const picks = (await scheduler.metric("endpoint_picker_picks_total")) - picksBefore;
  await checkCounts(scheduler, requests, picks, results, requestsPerBody * prompts.bodies.length * prompts.promptBytes);
  const seconds = rounds.reduce((sum, round) => sum + secondsOf(round), 0);
  const latencies = Float64Array.from(results.flatMap(({ latenciesUs }) => latenciesUs)).sort();
  return {
    size: `${prompts.promptBytes / 1000} KB`,
    requests,
    perSecond: requests / seconds,
    cpuPerThousand: ((cpuSeconds - before.cpuSeconds) * 1000) / requests,
    ownPerThousand: ((cpuSeconds - before.cpuSeconds - scrapingSeconds) * 1000) / requests,
    p50Ms: quantile(latencies, 0.5) / 1000,
    p99Ms: quantile(latencies, 0.99) / 1000,
    rssMiB,
  };
}

/** Rounds of loads that run at once, until each body had its requests. */
async function loadWith(
  scheduler: SchedulerProcess,
  { bodies }: PromptSet,
  folder: string,
  requestsPerBody: number,
): Promise<LoadResult[][]> {
  const rounds: LoadResult[][] = [];
  const scheme = scheduler.certificate === undefined ? "http" : "https";
  for (let first = 0; first < bodies.length; first += CONNECTIONS) {
    const loads = bodies.slice(first, first + CONNECTIONS).map((body, index) => {
      const bodyFile = join(folder, `body-${index}`);
      writeFileSync(bodyFile, framedRequest(`bench-${first + index}`, body));
      return runLoad({
        url: `${scheme}://${scheduler.address}${PROCESS_PATH}`,
        headers: { "content-type": "application/grpc", te: "trailers" },
        bodyFile,
        logFile: join(folder, `log-${index}`),
        requests: requestsPerBody,
        streams: STREAMS,
      });
    });
    rounds.push(await Promise.all(loads));
  }
  return rounds;
}

async function checkCounts(
  scheduler: SchedulerProcess,
  requests: number,
  picks: number,
  results: readonly LoadResult[],
  bodyBytes: number,
): Promise<void> {
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  const errors = await scheduler.metric("llm_d_epp_request_error_total");
  const answered = results.reduce((sum, { dataBytes }) => sum + dataBytes, 0);
  if (failed > 0 || errors > 0) throw new Error(`${failed} requests failed, the scheduler counted ${errors} errors`);
  if (picks !== requests) throw new Error(`${requests} requests were answered, but ${picks} picks were made`);
  if (answered < bodyBytes) throw new Error(`answers hold ${answered} bytes, the bodies ${bodyBytes}`);
}

function secondsOf(round: readonly LoadResult[]): number {
  const start = Math.min(...round.map(({ startUs }) => startUs));
  return (Math.max(...round.map(({ endUs }) => endUs)) - start) / 1e6;
}

/** Cores that the scheduler uses for reading metrics at the pace of a busy pool: a few requests a second keep it there. */
async function coresOfScraping(scheduler: SchedulerProcess, fleet: Fleet, seconds: number): Promise<number> {
  const [body] = chatPrompts(100, 1, MODEL).bodies;
  const trickle = { promptBytes: 100, bodies: [body!] };
  await verifyAnswers(scheduler, fleet, trickle);
  await pause(1000);
  const before = usageOf(scheduler.child.pid);
  const startMs = performance.now();
  for (let second = 0; second < seconds; second++) {
    await verifyAnswers(scheduler, fleet, trickle);
    await pause(1000);
  }
  const { cpuSeconds } = usageOf(scheduler.child.pid);
  const cores = ((cpuSeconds - before.cpuSeconds) * 1000) / (performance.now() - startMs);
  console.log(`reading the metrics of a busy pool: ${cores.toFixed(3)} cores`);
  return cores;
}

/** Cores that scheduler and model servers use while nothing but scraping happens. */
async function measureIdle(scheduler: SchedulerProcess, fleet: Fleet, seconds: number): Promise<void> {
  if (seconds <= 0) return;
  await pause(Math.min(2, seconds) * 1000);
  const pids = [scheduler.child.pid, fleet.servers.pid];
  const before = pids.map(usageOf);
  const startMs = performance.now();
  await pause(seconds * 1000);
  const elapsed = (performance.now() - startMs) / 1000;
  const [own = 0, servers = 0] = pids.map(
    (pid, index) => (usageOf(pid).cpuSeconds - before[index]!.cpuSeconds) / elapsed,
  );
  console.log(
    `idle: scheduler ${own.toFixed(3)} cores, RSS ${usageOf(pids[0]!).rssMiB.toFixed(0)} MiB ` +
      `(the process of all model servers: ${servers.toFixed(3)} cores)`,
  );
}
