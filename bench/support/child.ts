import { type ChildProcess, spawn } from "node:child_process";

/** A child process whose standard output is read by lines. */
export interface Child {
  readonly pid: number;
  readonly process: ChildProcess;
  /** Resolves with the first line that `read` makes something of; rejects when the process ends first or after 30 s. */
  line<T>(read: (line: string) => T | undefined): Promise<T>;
  /** Ends it, and waits until it is gone. */
  stop(): Promise<void>;
}

const LINE_TIMEOUT_MS = 30_000;

/** Starts this Node.js with `args`. */
export function startNode(args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  const process_ = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const readers = new Set<(line: string) => void>();
  let rest = "";
  process_.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      if (lines.length < 1000) lines.push(line);
      for (const reader of readers) reader(line);
    }
  });
  const closed = new Promise<void>((resolve) => void process_.once("close", () => resolve()));
  return {
    pid: process_.pid ?? 0,
    process: process_,
    line: (read) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no answer:\n${lines.join("\n")}`)), LINE_TIMEOUT_MS);
        const reader = (line: string): void => {
          const found = read(line);
          if (found === undefined) return;
          clearTimeout(timer);
          readers.delete(reader);
          resolve(found);
        };
        readers.add(reader);
        for (const line of lines) reader(line);
        void closed.then(() => reject(new Error(`${args.join(" ")} ended:\n${lines.join("\n")}`)));
      }),
    stop: async () => {
      process_.kill("SIGTERM");
      const timer = setTimeout(() => {
        console.error(`${args.join(" ")} is there 15 s after SIGTERM: SIGKILL`);
        process_.kill("SIGKILL");
      }, 15_000);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** The object on a line of JSON; undefined for other lines. */
export function jsonLine(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}
