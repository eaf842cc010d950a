import { Session } from "node:inspector/promises";
import { getHeapSnapshot } from "node:v8";
import type { Readable } from "node:stream";

const MAX_SECONDS = 60;
const DEFAULT_SECONDS = 10;

/**
 * A CPU profile of this process over some seconds (1 to 60; default 10), as JSON that Chrome's developer tools and `speedscope`
 * open (`.cpuprofile`).
 */
export async function cpuProfile(seconds = DEFAULT_SECONDS): Promise<string> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    const limited = Math.min(Math.max(Number.isFinite(seconds) ? seconds : DEFAULT_SECONDS, 1), MAX_SECONDS);
    await new Promise((resolve) => setTimeout(resolve, limited * 1000));
    const { profile } = await session.post("Profiler.stop");
    return JSON.stringify(profile);
  } finally {
    session.disconnect();
  }
}

/** A snapshot of the heap, as Chrome's developer tools open it (`.heapsnapshot`). The process stands still meanwhile. */
export function heapSnapshot(): Readable {
  return getHeapSnapshot();
}
