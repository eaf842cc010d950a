import type { FlowView, QueuedRequest } from "../framework/plugin.ts";
import type { Outcome } from "./outcome.ts";

/** A request in a queue, and how it is told what became of it. */
export interface Item {
  readonly request: QueuedRequest;
  /** Order within its flow: the lowest goes first; equal ones in the order of arrival. */
  readonly key: number;
  /** Called once, after the item has left its queue. `waitMs`: time in it. */
  readonly settle: (outcome: Outcome, waitMs: number) => void;
}

/** The requests of one fairness id in one band, the next one first. */
export class Flow implements FlowView {
  readonly id: string;
  readonly #items: Item[] = [];

  constructor(id: string) {
    this.id = id;
  }

  get size(): number {
    return this.#items.length;
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  get head(): QueuedRequest {
    return this.#first().request;
  }

  get headKey(): number {
    return this.#first().key;
  }

  /** Cost: a search in the sorted list; first-come orders append. */
  add(item: Item): void {
    let low = 0;
    let high = this.#items.length;
    if (high > 0 && this.#items[high - 1]!.key <= item.key) low = high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#items[middle]!.key <= item.key) low = middle + 1;
      else high = middle;
    }
    this.#items.splice(low, 0, item);
  }

  /** Whether the item was there. */
  remove(item: Item): boolean {
    const at = this.#items.indexOf(item);
    if (at !== -1) this.#items.splice(at, 1);
    return at !== -1;
  }

  #first(): Item {
    const [first] = this.#items;
    if (first === undefined) throw new Error(`flow ${this.id} is empty`);
    return first;
  }
}

/** All that waits at one priority. */
export class Band {
  readonly priority: number;
  /** Flows in which something waits, by fairness id. */
  readonly flows = new Map<string, Flow>();
  requests = 0;
  bytes = 0;

  constructor(priority: number) {
    this.priority = priority;
  }

  add(item: Item): void {
    const { fairnessId, sizeBytes } = item.request;
    const flow = this.flows.get(fairnessId) ?? new Flow(fairnessId);
    this.flows.set(fairnessId, flow);
    flow.add(item);
    this.requests++;
    this.bytes += sizeBytes;
  }

  /** Whether the item was there. */
  remove(item: Item): boolean {
    const { fairnessId, sizeBytes } = item.request;
    const flow = this.flows.get(fairnessId);
    if (flow?.remove(item) !== true) return false;
    if (flow.size === 0) this.flows.delete(fairnessId);
    this.requests--;
    this.bytes -= sizeBytes;
    return true;
  }
}
