import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { listShared, readShared } from "../corpus.ts";
import { type FuzzReport, fuzz, type Target } from "./fuzz.ts";
import { bodyTarget, configTarget, decodeTarget, metricsTarget, streamTarget, usageTarget } from "./targets.ts";

const USAGE = `Tries damaged inputs on what reads them.
  --target NAME     stream, body, decode, usage, metrics or config (default: all)
  --iterations N    attempts for each target (default 100000)
  --seconds N       … or until this much time has passed (default 60)
  --seed N          makes the inputs (default 1)
  --first N         number of the first attempt, to make one again`;

const shared = (folder: string, suffix: string): Buffer[] =>
  listShared(folder, suffix).map((path) => Buffer.from(readShared(path)));

const TARGETS: Readonly<Record<string, () => Target>> = {
  stream: streamTarget,
  body: bodyTarget,
  decode: decodeTarget,
  usage: usageTarget,
  metrics: () => metricsTarget(shared("corpus/metrics", ".txt")),
  config: () => configTarget(shared("corpus/epp-configs", ".yaml")),
};

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    iterations: { type: "string", default: "100000" },
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    first: { type: "string", default: "0" },
    help: { type: "boolean", default: false },
  },
});

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function liveBytes(): Promise<number> {
  // What holds memory outside of the heap lets go of it in the turn after its collection.
  for (let turn = 0; turn < 3; turn++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const signed = (value: number): string => `${value >= 0 ? "+" : ""}${value.toFixed(1)}`;

function show({
  target,
  iterations,
  failures,
  longestMs,
  longestSeenMs,
  longestIteration,
  growthMiB,
  liveGrowthMiB,
  perSecond,
}: FuzzReport): string {
  const row = [
    target.padEnd(8),
    `${iterations} attempts`,
    `${failures.length} failures`,
    `longest ${longestMs.toFixed(1)} ms (number ${longestIteration}), seen ${longestSeenMs.toFixed(1)} ms`,
    `live memory ${signed(liveGrowthMiB)} MiB, resident set ${signed(growthMiB)} MiB`,
    `${Math.round(perSecond)}/s`,
  ].join("  ");
  return [row, ...failures.map(({ iteration, message }) => `  number ${iteration}: ${message}`)].join("\n");
}

if (values.help) console.log(USAGE);
else {
  const names = values.target === undefined ? Object.keys(TARGETS) : values.target.split(",");
  const limits = {
    seed: Number(values.seed),
    iterations: Number(values.iterations),
    maxMs: Number(values.seconds) * 1000,
    first: Number(values.first),
    liveBytes,
  };
  for (const name of names) {
    const create = TARGETS[name];
    if (create === undefined) throw new Error(`no target "${name}"; there are ${Object.keys(TARGETS).join(", ")}`);
    const report = await fuzz(create(), limits);
    console.log(show(report));
    if (report.failures.length > 0) process.exitCode = 1;
  }
}
