import { Session } from "node:inspector/promises";
import { setTimeout as pause } from "node:timers/promises";
import type { DebugPage } from "./metrics-server.ts";

const DEFAULT_SECONDS = 10;
const MAX_SECONDS = 60;

/**
 * Profiles of this process while it works, as Chrome's and Firefox's developer tools read them: `/debug/pprof/profile` where the
 * processor's time goes, `/debug/pprof/heap` who allocates what is still alive. One at a time; `?seconds=` up to 60, default 10.
 */
export function profilePages(): ReadonlyMap<string, DebugPage> {
  let busy = false;
  const exclusively = async (query: URLSearchParams, take: (session: Session, ms: number) => Promise<unknown>) => {
    if (busy) return { error: "another profile is being taken" };
    busy = true;
    const session = new Session();
    session.connect();
    try {
      return await take(session, secondsOf(query) * 1000);
    } finally {
      session.disconnect();
      busy = false;
    }
  };
  return new Map([
    ["/debug/pprof/profile", { about: "CPU profile (?seconds=)", render: (query) => exclusively(query, cpuProfile) }],
    [
      "/debug/pprof/heap",
      { about: "profile of allocations (?seconds=)", render: (query) => exclusively(query, heapProfile) },
    ],
  ]);
}

function secondsOf(query: URLSearchParams): number {
  const seconds = Number(query.get("seconds") ?? DEFAULT_SECONDS);
  return seconds > 0 ? Math.min(seconds, MAX_SECONDS) : DEFAULT_SECONDS;
}

async function cpuProfile(session: Session, ms: number): Promise<unknown> {
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  await pause(ms);
  return (await session.post("Profiler.stop")).profile;
}

async function heapProfile(session: Session, ms: number): Promise<unknown> {
  await session.post("HeapProfiler.startSampling");
  await pause(ms);
  return (await session.post("HeapProfiler.stopSampling")).profile;
}
