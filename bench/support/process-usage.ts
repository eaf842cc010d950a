import { readFileSync } from "node:fs";

/** Ticks a second in /proc: USER_HZ, 100 on every Linux that Node.js runs on. */
const TICKS = 100;

/** What a process has used so far. */
export interface Usage {
  /** User and system time in seconds. */
  readonly cpuSeconds: number;
  /** Resident set in MiB. */
  readonly rssMiB: number;
}

/** Reads the usage of a running process from /proc (proc_pid_stat(5)). Throws where there is none. */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The command's name, in parentheses, may hold blanks: count fields behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? "0";
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS, rssMiB: Number(rss) / 1024 };
}
