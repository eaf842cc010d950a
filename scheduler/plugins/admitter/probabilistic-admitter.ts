import { number, object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Refuses sheddable requests, the likelier the more the pool is loaded. */
export const probabilisticAdmitter = definePlugin({
  type: "probabilistic-admitter",
  kinds: ["admitter"],
  stability: "beta",
  description: "Refuses requests of negative priority, the likelier the more the pool is loaded.",
  parameters: object({
    queueDepthThreshold: number({ doc: "Queue that counts as full.", default: 5, above: 0 }),
    kvCacheUtilThreshold: number({ doc: "KV cache usage that counts as full.", default: 0.8, above: 0 }),
    power: number({ doc: "Power of the load.", default: 5, above: 0 }),
    k: number({ doc: "Factor on that power.", default: 300, above: 0 }),
  }),
  create: ({ queueDepthThreshold, kvCacheUtilThreshold, power, k }) => ({
    admit: ({ request, endpoints, candidates, candidateCount, random }) => {
      if (request.priority >= 0 || candidateCount === 0) return undefined;
      let sum = 0;
      for (let i = 0; i < candidateCount; i++) {
        const slot = candidates[i] ?? 0;
        if (endpoints.updatedAtMs[slot] === 0) sum += 1;
        else
          sum += Math.max(
            (endpoints.waiting[slot] ?? 0) / queueDepthThreshold,
            (endpoints.kvUsage[slot] ?? 0) / kvCacheUtilThreshold,
          );
      }
      const saturation = sum / candidateCount;
      const probability = Math.min(1, saturation ** power * k);
      if (random.next() >= probability) return undefined;
      const told = `saturation=${saturation.toFixed(3)} prob=${probability.toFixed(3)}`;
      return {
        code: "ResourceExhausted",
        message: `probabilistic-admitter: rejected, ${told}`,
        droppedReason: "rejected-saturated",
      };
    },
  }),
});
