import { producerName, TOPOLOGY } from "../../framework/data.ts";
import { object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { levelOf } from "../topology.ts";

/** Scores of host, rack, zone, region and nowhere. */
const SCORES = [1, 0.2, 0.05, 0.02, 0];

/** Prefers endpoints near the one picked by an earlier stage. */
export const topologyAffinityScorer = definePlugin({
  type: "topology-affinity-scorer",
  kinds: ["scorer"],
  stability: "alpha",
  description: "Prefers endpoints near the one that an earlier stage picked.",
  parameters: object({ topologyProducerName: producerName(TOPOLOGY) }),
  consumes: ({ topologyProducerName: producer }) => [{ key: TOPOLOGY, producer }],
  create: ({ topologyProducerName }, context) => {
    const handle = context.data(TOPOLOGY, topologyProducerName);
    return {
      score: (cycle, slots, count, scores) => {
        if (cycle.peerSlot < 0) return;
        const topology = handle.of(cycle);
        for (let i = 0; i < count; i++)
          scores[i] = SCORES[levelOf(topology, cycle, cycle.peerSlot, slots[i] ?? 0)] ?? 0;
      },
    };
  },
});
