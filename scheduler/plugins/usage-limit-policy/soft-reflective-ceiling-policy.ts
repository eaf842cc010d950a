import { object } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const EPSILON = 1e-9;
/** Saturation from which less urgent bands are held back. */
const ONSET = 0.5;

/** Less urgent bands are let through now and then while the pool fills up. */
export const softReflectiveCeilingPolicy = definePlugin({
  type: "soft-reflective-ceiling-policy",
  kinds: ["usage-limit-policy"],
  stability: "alpha",
  description: "Less urgent bands are let through ever more rarely while the pool fills up.",
  parameters: object({}),
  create: () => {
    let calls = 0;
    /** Of so many calls one is open; counted while the pool is filling up. */
    const isOpen = (saturation: number): boolean => {
      if (saturation < ONSET || saturation >= 1) return false;
      const period = Math.round(Math.max(1, saturation / (1 - saturation + EPSILON)));
      return ++calls % period === 0;
    };
    return {
      ceilings: (saturation, { length }, out) => {
        const open = isOpen(saturation);
        for (let rank = 1; rank < length; rank++) {
          const onset = 1 - (rank * saturation) / (length - 1);
          if (saturation >= onset && !open) out[rank] = 0;
        }
      },
    };
  },
});
