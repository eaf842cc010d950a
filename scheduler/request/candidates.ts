import type { EndpointStore } from "../datalayer/endpoint-store.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import { createSubsetTest } from "./subset.ts";
import { RequestError } from "./types.ts";

/** Collects the endpoints that a request may go to. The list is the next request's, too: what is to stay must be copied. */
export class Candidates {
  /** Only the first of them, as many as `collect` said, are valid. */
  slots: Int32Array = new Int32Array(0);
  readonly #store: EndpointStore;

  constructor(store: EndpointStore) {
    this.#store = store;
  }

  /** Fills `slots` with the pool's endpoints, or those of the proxy's subset, and returns their number; 0: there is none. */
  collect(subset: readonly string[] | undefined): number {
    const store = this.#store;
    if (this.slots.length < store.capacity) this.slots = new Int32Array(store.capacity);
    const isNamed = subset === undefined ? undefined : createSubsetTest(subset, endpointsOf(store));
    let count = 0;
    for (const slot of store.slots())
      if (isNamed === undefined || isNamed(store.metadata(slot))) this.slots[count++] = slot;
    return count;
  }

  /** Like `collect`, but refuses the request where there is none. */
  demand(subset: readonly string[] | undefined, refusal: string): number {
    const count = this.collect(subset);
    if (count === 0) throw new RequestError("ServiceUnavailable", refusal, "rejected-no-endpoints");
    return count;
  }
}

function* endpointsOf(store: EndpointStore): Iterable<EndpointMetadata> {
  for (const slot of store.slots()) yield store.metadata(slot);
}
