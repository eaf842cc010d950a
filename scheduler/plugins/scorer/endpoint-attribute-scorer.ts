import { choice, number, object, optional, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { attributeProducer, attributeReader, splitAttribute } from "../attributes.ts";

const fixedRange = object(
  {
    min: number({ doc: "Value of the worse end.", default: 0 }),
    max: number({ doc: "Value of the better end.", default: 0 }),
  },
  {
    check: ({ min, max }, path, report) => {
      if (min >= max) report.error({ path, value: { min, max }, cause: "min must be < max", remedy: "swap them" });
    },
  },
);

const normalization = object(
  { fixedRange: optional(fixedRange), adaptiveRange: optional(object({})) },
  {
    check: ({ fixedRange: fixed, adaptiveRange: adaptive }, path, report) => {
      if (fixed === undefined || adaptive === undefined) return;
      const cause = "has both fixedRange and adaptiveRange";
      report.error({ path, value: undefined, cause, remedy: "keep one" });
    },
  },
);

/** Rates endpoints by an attribute, over a fixed range or the one that they span. */
export const endpointAttributeScorer = definePlugin({
  type: "endpoint-attribute-scorer",
  kinds: ["scorer"],
  stability: "alpha",
  description: "Rates endpoints by an attribute, over a fixed range or the one that they span; 0 without it.",
  migrate: splitAttribute("attributeKey"),
  parameters: object({
    attributeKey: required(text({ doc: "Name of the attribute.", default: "", nonEmpty: true })),
    producer: attributeProducer,
    algorithm: required(
      object({
        type: required(
          choice({
            doc: "Which end is better.",
            default: "linear_lower_is_better",
            of: ["linear_lower_is_better", "linear_higher_is_better"],
          }),
        ),
        normalization: optional(normalization),
      }),
    ),
  }),
  create: ({ attributeKey, producer, algorithm }) => {
    const read = attributeReader(attributeKey, producer);
    const lower = algorithm.type === "linear_lower_is_better";
    const fixed = algorithm.normalization?.fixedRange;
    return {
      score: ({ endpoints }, slots, count, scores) => {
        let { min, max } = fixed ?? { min: Infinity, max: -Infinity };
        for (let i = 0; fixed === undefined && i < count; i++) {
          const value = read(endpoints, slots[i] ?? 0);
          if (value < min) min = value;
          if (value > max) max = value;
        }
        for (let i = 0; i < count; i++) {
          const value = read(endpoints, slots[i] ?? 0);
          if (Number.isNaN(value)) continue;
          const share = Math.min(1, Math.max(0, (value - min) / (max - min)));
          if (min === max) scores[i] = 1;
          else scores[i] = lower ? 1 - share : share;
        }
      },
    };
  },
});
