/** Scores from predicted latency: which endpoints count, and how the headroom of each is rated. */

/** Endpoints with their headrooms in ms; NaN where nothing was predicted. */
export interface Headrooms {
  readonly ttft: Float64Array;
  readonly tpot: Float64Array;
  readonly dispatched: Float64Array;
}

/** Shares of the two latencies, and whether little or much headroom is better. */
export interface Strategy {
  readonly ttftWeight: number;
  readonly tpotWeight: number;
  readonly most: boolean;
}

const EPSILON = 1e-9;

/** Weights that sum to 1; all on the first when nothing is given. */
function shares({ ttftWeight, tpotWeight }: Strategy): readonly [number, number] {
  const sum = ttftWeight + tpotWeight;
  return sum > 0 ? [ttftWeight / sum, tpotWeight / sum] : [1, 0];
}

interface Dimension {
  readonly range: number;
  of(position: number): number;
}

function dimension(values: readonly number[]): Dimension {
  const sizes = values.map(Math.abs);
  const min = Math.min(...sizes);
  const range = Math.max(...sizes) - min;
  return { range, of: (position) => (range <= EPSILON ? 0.5 : ((sizes[position] ?? 0) - min) / range) };
}

/** Rates the endpoints at `members` (positions into `slots`) against each other. */
function rate(members: readonly number[], slots: Int32Array, headrooms: Headrooms, strategy: Strategy): number[] {
  const at = (column: Float64Array) => members.map((position) => column[slots[position] ?? 0] ?? 0);
  const ttft = dimension(at(headrooms.ttft));
  const tpot = dimension(at(headrooms.tpot));
  let [a, b] = shares(strategy);
  if (ttft.range <= EPSILON && tpot.range > EPSILON) [a, b] = [0, 1];
  else if (tpot.range <= EPSILON && ttft.range > EPSILON) [a, b] = [1, 0];
  return members.map((_, position) => {
    const distance = a * ttft.of(position) + b * tpot.of(position);
    return (Math.floor(100 * (strategy.most ? distance : 1 - distance)) + 1) / 100;
  });
}

/** Which endpoints are rated: those that meet their objectives, else idle ones, else those that miss the least. */
function choose(positions: readonly number[], slots: Int32Array, { ttft, tpot, dispatched }: Headrooms) {
  const value = (column: Float64Array, position: number): number => column[slots[position] ?? 0] ?? NaN;
  const meets = (position: number): boolean => value(ttft, position) >= 0 && value(tpot, position) >= 0;
  const positive = positions.filter(meets);
  if (positive.length > 0) return { members: positive, met: true };
  const negative = positions.filter((position) => !Number.isNaN(value(ttft, position)));
  const buckets = [
    negative.filter((position) => value(dispatched, position) === 0),
    negative.filter((position) => value(ttft, position) >= 0),
    negative.filter((position) => value(tpot, position) >= 0),
    negative,
  ];
  return { members: buckets.find(({ length }) => length > 0) ?? [], met: false };
}

/** Writes the scores of the endpoints that count; the others keep 0. */
export function scoreHeadrooms(
  slots: Int32Array,
  count: number,
  headrooms: Headrooms,
  strategy: Strategy,
  scores: Float64Array,
): void {
  const positions = Array.from({ length: count }, (_, position) => position);
  const { members, met } = choose(positions, slots, headrooms);
  const rated = rate(members, slots, headrooms, met ? strategy : { ...strategy, most: false });
  members.forEach((position, index) => void (scores[position] = rated[index] ?? 0));
}
