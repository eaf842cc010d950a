import type { Cycle } from "../../framework/cycle.ts";
import type { EndpointMetadata } from "../../framework/endpoint.ts";
import type { Filter } from "../../framework/plugin.ts";

/** Moves the slots that pass `test` to the front in their order, and returns how many there are. */
export function keep(slots: Int32Array, count: number, test: (slot: number) => boolean): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const slot = slots[i] ?? 0;
    if (test(slot)) slots[kept++] = slot;
  }
  return kept;
}

/** A filter by facts of the endpoint; `reason` tells why one is dropped. */
export function keepingBy(
  test: (metadata: EndpointMetadata) => boolean,
  reason: (metadata: EndpointMetadata) => string,
): Required<Filter> {
  return {
    filter: ({ endpoints }, slots, count) => keep(slots, count, (slot) => test(endpoints.metadata(slot))),
    dropReason: ({ endpoints }: Cycle, slot) => reason(endpoints.metadata(slot)),
  };
}
