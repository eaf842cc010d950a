import { spawn } from "node:child_process";

/** Variable that all processes of one playground's pods carry. */
export const RUN_VARIABLE = "LLMISVC_PLAYGROUND_RUN";

/**
 * Ends every process that carries the marker when its standard input closes, which the kernel does when the playground's
 * process ends in whatever way, and removes the folder. A shell script, so that waiting costs next to nothing. It looks again
 * until nothing is left, since a process may be starting meanwhile.
 */
const SCRIPT = `
while read -r _; do :; done
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=$(grep -lzxF -- "$1" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3)
  [ -z "$found" ] && break
  kill -9 $found 2>/dev/null
  sleep 0.05
done
rm -rf -- "$2"
`;

/** A running watchdog. */
export interface Watchdog {
  /** Ends the marked processes and removes the folder; resolves when that is done. */
  close(): Promise<void>;
}

/** Starts the watchdog for the processes marked by `runId` and the folder that goes with them. */
export function startWatchdog(runId: string, folder: string): Watchdog {
  const child = spawn("/bin/sh", ["-c", SCRIPT, "watchdog", `${RUN_VARIABLE}=${runId}`, folder], {
    detached: true,
    cwd: "/",
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  child.unref();
  return {
    close: async () => {
      child.ref();
      child.stdin.end();
      await ended;
    },
  };
}
