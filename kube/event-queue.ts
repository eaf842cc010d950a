import type { KubeObject } from "./types.ts";

/** How much an Event matters (core v1). */
export type EventType = "Normal" | "Warning";

/** An Event that waits to be written, as often as it happened meanwhile; times of the wall clock in ms. */
export interface WaitingEvent {
  /** The same for the same type, reason and message about the same object. */
  readonly key: string;
  readonly object: KubeObject;
  readonly event: { readonly type: EventType; readonly reason: string; readonly message: string };
  readonly firstMs: number;
  lastMs: number;
  times: number;
}

/** Events that may wait: two of each of 5,000 services, some 10 MiB at most. */
const MAX_WAITING = 10_000;

/** Events that wait for the API server, in their order, Warnings before Normal ones. */
export class EventQueue {
  readonly #waiting: Readonly<Record<EventType, Map<string, WaitingEvent>>> = { Warning: new Map(), Normal: new Map() };

  /** Adds an Event, or counts one that waits. Returns the one that had to go for it: the oldest of the least importance. */
  add(key: string, object: KubeObject, event: WaitingEvent["event"], nowMs: number): WaitingEvent | undefined {
    const { Warning: warnings, Normal: normals } = this.#waiting;
    const queue = this.#waiting[event.type];
    const known = queue.get(key);
    if (known !== undefined) {
      known.times++;
      known.lastMs = nowMs;
      return undefined;
    }
    const added = { key, object, event, firstMs: nowMs, lastMs: nowMs, times: 1 };
    if (warnings.size + normals.size < MAX_WAITING) {
      queue.set(key, added);
      return undefined;
    }
    if (normals.size === 0 && event.type === "Normal") return added;
    queue.set(key, added);
    return shift(normals) ?? shift(warnings);
  }

  /** Removes and returns the next one. */
  take(): WaitingEvent | undefined {
    return shift(this.#waiting.Warning) ?? shift(this.#waiting.Normal);
  }
}

function shift(queue: Map<string, WaitingEvent>): WaitingEvent | undefined {
  const [first] = queue.values();
  if (first !== undefined) queue.delete(first.key);
  return first;
}
