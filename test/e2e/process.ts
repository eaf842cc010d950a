import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { until } from "../../playground/until.ts";

/** The checkout's root. */
export const ROOT = new URL("../..", import.meta.url).pathname;

/** What a finished process left. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A started process whose output is collected. */
export interface Running {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves when the standard output matches; rejects when the process ends or the time is over first. */
  output(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>;
  readonly finished: Promise<Finished>;
}

/** Starts a command without a shell, in the checkout's root. */
export function start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
  const text = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...text }));
  });
  finished.catch(() => undefined);
  return {
    child,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    finished,
    output: (pattern, timeoutMs) =>
      until(
        `output ${pattern} of ${command} ${args.join(" ")}`,
        () => {
          const match = pattern.exec(text.stdout);
          if (match === null && child.exitCode !== null)
            throw new Error(`${command} ended with ${child.exitCode}:\n${text.stdout}\n${text.stderr}`);
          return match ?? undefined;
        },
        { timeoutMs, detail: () => `${text.stdout}\n${text.stderr}` },
      ),
  };
}

/** A command that takes longer is stuck: it is killed, and its exit code is null. */
const RUN_LIMIT_MS = 90_000;

/** Runs a command to its end, with `input` on its standard input. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<Finished> {
  const running = start(command, args, options.env);
  // A command that reads nothing may be over by now.
  running.child.stdin?.on("error", () => undefined).end(options.input ?? "");
  const limit = setTimeout(() => running.child.kill("SIGKILL"), RUN_LIMIT_MS);
  return await running.finished.finally(() => clearTimeout(limit));
}

/** Process ids whose environment holds `marker`: what a tree of processes left behind, re-parented ones included. */
export function processesWith(marker: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => environmentOf(name).includes(marker))
    .map(Number);
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}
