import { SeededRandom } from "../framework/random.ts";
import type { Picker } from "../framework/plugin.ts";
import type { EndpointColumns } from "../framework/endpoint.ts";
import { SchedulingCycle } from "./cycle.ts";
import { clampScore } from "./profile.ts";
import type { ProfileTrace } from "./trace.ts";

/** A pick looks at totals and chance alone. */
const NO_ENDPOINTS: EndpointColumns = {
  capacity: 0,
  waiting: new Float64Array(0),
  running: new Float64Array(0),
  kvUsage: new Float64Array(0),
  updatedAtMs: new Float64Array(0),
  cacheBlockSize: new Float64Array(0),
  cacheNumBlocks: new Float64Array(0),
  maxActiveModels: new Float64Array(0),
  generation: new Uint32Array(0),
  metadata: (slot) => {
    throw new Error(`no endpoint in slot ${slot}`);
  },
  activeModels: () => new Set(),
  waitingModels: () => new Set(),
  attribute: () => NaN,
};

/**
 * Repeats a pick from its trace: adds up the weighted raw scores in the order of the scorers and lets the picker choose with the
 * recorded state of chance. Returns the names of the targets, which equal `trace.targets`. `picker` is an instance of the type and
 * with the parameters that the trace names.
 */
export function recomputePick(trace: ProfileTrace, picker: Picker | undefined): readonly string[] {
  const competed = trace.candidates.filter(({ scores }) => scores !== undefined);
  if (trace.refusal !== undefined || competed.length === 0) return [];
  const totals = new Float64Array(competed.length);
  trace.scorers.forEach(({ weight }, scorer) => {
    competed.forEach(({ scores }, at) => {
      totals[at] = (totals[at] ?? 0) + clampScore(scores?.[scorer]?.raw ?? 0) * weight;
    });
  });
  const slots = Int32Array.from(competed, (_, at) => at);
  const cycle = new SchedulingCycle(NO_ENDPOINTS, new SeededRandom(trace.randomState ?? 0), []);
  const count = picker?.pick(cycle, slots, totals, competed.length) ?? 1;
  return Array.from(slots.subarray(0, count), (at) => competed[at]?.endpoint ?? "");
}
