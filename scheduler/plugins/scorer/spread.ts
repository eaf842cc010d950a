/** Writes (max − value) / (max − min) over the given slots; all alike score 1. */
export function spread(column: Float64Array, slots: Int32Array, count: number, scores: Float64Array): void {
  let min = Infinity;
  let max = -Infinity;
  for (let i = 0; i < count; i++) {
    const value = column[slots[i] ?? 0] ?? 0;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  for (let i = 0; i < count; i++) scores[i] = max === min ? 1 : (max - (column[slots[i] ?? 0] ?? 0)) / (max - min);
}
