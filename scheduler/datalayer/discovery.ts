import type { PoolSpec } from "./pool.ts";

/** Where the endpoints of the store come from, while it is followed. */
export interface Discovery {
  /** Whether the store holds what the source says. */
  known(): boolean;
  /** The pool as the source describes it; undefined while unknown, or where there is none. */
  pool(): PoolSpec | undefined;
  close(): Promise<void>;
}
