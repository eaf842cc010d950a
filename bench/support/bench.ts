import { parseArgs } from "node:util";

/** One bench: the default export of `bench/<name>.ts`. */
export interface Bench {
  /** What is measured, in a line. */
  readonly description: string;
  /** Options of a run that is over in seconds and prints every figure: the code is exercised, the figures say nothing. */
  readonly smallest: readonly string[];
  /** Runs it with the `--options` of the command line and prints figures. Throws where what was measured did not work. */
  run(args: readonly string[]): Promise<void>;
}

/** Reads `--name=value` options. Throws for an option that `defaults` does not have. */
export function readOptions<Defaults extends Readonly<Record<string, string>>>(
  args: readonly string[],
  defaults: Defaults,
): Record<keyof Defaults, string> {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [name, { type: "string" as const, default: value }]),
  );
  return parseArgs({ args: [...args], options, strict: true }).values as Record<keyof Defaults, string>;
}

/** Prints rows as aligned columns, the first row being the head. Numbers are expected as text. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  for (const row of rows)
    console.log(
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  "),
    );
}

/** The value of ascending ones that a share of them, 0 to 1, does not exceed; NaN of none. */
export const quantile = (sorted: ArrayLike<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

/** CPU time of this process for a run, in ms. */
export function cpuMs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
