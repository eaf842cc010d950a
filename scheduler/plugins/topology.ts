/** Nearness of endpoints: host, rack, zone, region. */
import type { Cycle } from "../framework/cycle.ts";
import type { Topology } from "../framework/data.ts";

/** Levels from the tightest; the index is the level. */
export const LEVELS = ["host", "rack", "zone", "region"] as const;

/** Level at which two slots are together: 0 the same host, up to 3 the same region; 4: nowhere, or not known. */
export function levelOf({ labels }: Topology, { endpoints }: Cycle, a: number, b: number): number {
  const left = endpoints.metadata(a).labels;
  const right = endpoints.metadata(b).labels;
  const level = labels.findIndex((name) => (left[name] ?? "") !== "" && left[name] === right[name]);
  return level === -1 ? LEVELS.length : level;
}

/** Whether anything is known about where a slot is. */
export function isPlaced({ labels }: Topology, { endpoints }: Cycle, slot: number): boolean {
  const own = endpoints.metadata(slot).labels;
  return labels.some((name) => (own[name] ?? "") !== "");
}
