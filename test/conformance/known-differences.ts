import type { Difference } from "./compare.ts";

/** Differences that stay, and why. */
export interface Known {
  /** Of labels of steps. */
  readonly label: RegExp;
  /** Of paths in the answer. */
  readonly path: RegExp;
  /** Of both values, `real / embedded`. */
  readonly values?: RegExp;
  readonly reason: string;
}

/** What the embedded API server answers otherwise than a real one. */
export const KNOWN: readonly Known[] = [];

/** Whether a difference is in the table. */
export function isKnown({ label, path, real, embedded }: Difference): boolean {
  return KNOWN.some(
    (known) =>
      known.label.test(label) && known.path.test(path) && (known.values?.test(`${real} / ${embedded}`) ?? true),
  );
}
