import { type ChildProcess, spawn } from "node:child_process";
import { field } from "../fields.ts";

/** How a process ended. A signal counts as exit code 128 + its number, as in a shell. */
export interface Exit {
  readonly code: number;
  readonly signal: number | undefined;
}

/** What to start. */
export interface ProcessOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Standard output and standard error, decoded. */
  readonly onOutput: (text: string) => void;
}

/** A process with its descendants. */
export interface RunningProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Sends the signal to the process group. */
  signal(name: "SIGTERM" | "SIGKILL" | "SIGINT"): void;
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** Starts a process in a group of its own. Rejects where the program cannot be started. */
export function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const [program = "", ...args] = options.command;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...options.env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", options.onOutput);
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      endGroup(child);
      const number = signal === null ? undefined : (SIGNAL_NUMBERS[signal] ?? 0);
      resolve({ code: code ?? 128 + (number ?? 0), signal: number });
    });
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", () => resolve({ pid: child.pid!, exited, signal: (name) => signalGroup(child, name) }));
  });
}

/** A container ends with its first process: whatever it left behind goes too. */
function endGroup(child: ChildProcess): void {
  signalGroup(child, "SIGKILL");
}

function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch (error) {
    if (field(error, "code") !== "ESRCH") throw error;
  }
}
