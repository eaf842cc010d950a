import { CORE_METRICS } from "../../framework/data.ts";
import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const ACTIVE = 1;
const ROOM = 0.8;
const WAITING = 0.6;

/** Prefers endpoints where the adapter runs, then those with room for it, then those where it waits. */
export const loraAffinityScorer = definePlugin({
  type: "lora-affinity-scorer",
  kinds: ["scorer"],
  stability: "beta",
  description: "Prefers endpoints that run the LoRA adapter (1), have room for it (0.8), or have it waiting (0.6).",
  parameters: noParameters(),
  consumes: () => [CORE_METRICS.activeModels, CORE_METRICS.waitingModels],
  create: () => ({
    score: ({ endpoints, request }, slots, count, scores) => {
      for (let i = 0; i < count; i++) {
        const slot = slots[i] ?? 0;
        const active = endpoints.activeModels(slot);
        const waiting = endpoints.waitingModels(slot);
        if (active.has(request.targetModel)) scores[i] = ACTIVE;
        else if (active.size + waiting.size < (endpoints.maxActiveModels[slot] ?? 0)) scores[i] = ROOM;
        else scores[i] = waiting.has(request.targetModel) ? WAITING : 0;
      }
    },
  }),
});
