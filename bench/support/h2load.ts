import { spawn, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

/** First line of `h2load --version`; undefined where it is not installed (Debian: nghttp2-client). */
export function h2loadVersion(): string | undefined {
  const { status, stdout } = spawnSync("h2load", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/** One h2load process: one connection that keeps `streams` requests under way until `requests` are answered. */
export interface Load {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyFile: string;
  readonly logFile: string;
  readonly requests: number;
  readonly streams: number;
}

/** What came back. */
export interface LoadResult {
  readonly succeeded: number;
  readonly failed: number;
  /** Bytes of answers' DATA frames. */
  readonly dataBytes: number;
  /** Microseconds since the epoch. */
  readonly startUs: number;
  readonly endUs: number;
  readonly latenciesUs: readonly number[];
}

/** Runs one load to its end. Rejects where h2load fails or its report cannot be read. */
export async function runLoad(load: Load): Promise<LoadResult> {
  const headers = Object.entries(load.headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  // h2load appends.
  rmSync(load.logFile, { force: true });
  const sizes = ["-n", String(load.requests), "-c1", "-m", String(load.streams)];
  const child = spawn("h2load", [...sizes, "-d", load.bodyFile, `--log-file=${load.logFile}`, ...headers, load.url]);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once("error", reject).once("close", resolve),
  );
  const counts = /(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(output);
  const data = /\((\d+)\) data$/m.exec(output);
  if (code !== 0 || counts === null || data === null) throw new Error(`h2load ended with ${code}:\n${output}`);
  return {
    succeeded: Number(counts[1]),
    failed: load.requests - Number(counts[1]),
    dataBytes: Number(data[1]),
    ...readLog(load.logFile),
  };
}

/** Lines of `start in µs since the epoch, HTTP status, µs until the answer's end`. */
function readLog(file: string): Pick<LoadResult, "startUs" | "endUs" | "latenciesUs"> {
  const rows = readFileSync(file, "latin1")
    .trim()
    .split("\n")
    .map((line) => line.split("\t").map(Number));
  return {
    startUs: Math.min(...rows.map(([start = 0]) => start)),
    endUs: Math.max(...rows.map(([start = 0, , duration = 0]) => start + duration)),
    latenciesUs: rows.map(([, , duration = 0]) => duration),
  };
}
