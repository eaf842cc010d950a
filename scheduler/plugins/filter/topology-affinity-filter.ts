import { producerName, TOPOLOGY } from "../../framework/data.ts";
import { choice, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { isPlaced, LEVELS, levelOf } from "../topology.ts";
import { keep } from "./keeping.ts";

/** Keeps endpoints near the one picked by an earlier stage. */
export const topologyAffinityFilter = definePlugin({
  type: "topology-affinity-filter",
  kinds: ["filter"],
  stability: "alpha",
  description: "Keeps endpoints near the one that an earlier stage picked; all when none is near.",
  parameters: object({
    minAffinity: choice({ doc: "How near.", default: "host", of: LEVELS }),
    topologyProducerName: producerName(TOPOLOGY),
  }),
  consumes: ({ topologyProducerName: producer }) => [{ key: TOPOLOGY, producer }],
  create: ({ minAffinity, topologyProducerName }, context) => {
    const handle = context.data(TOPOLOGY, topologyProducerName);
    const widest = LEVELS.indexOf(minAffinity);
    return {
      filter: (cycle, slots, count) => {
        const { peerSlot } = cycle;
        const topology = handle.of(cycle);
        if (peerSlot < 0 || !isPlaced(topology, cycle, peerSlot)) return count;
        const isNear = (slot: number): boolean => levelOf(topology, cycle, peerSlot, slot) <= widest;
        return slots.subarray(0, count).some(isNear) ? keep(slots, count, isNear) : count;
      },
      dropReason: () => `not on the ${minAffinity} of the endpoint picked before`,
    };
  },
});
