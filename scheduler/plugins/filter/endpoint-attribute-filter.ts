import { bool, choice, number, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { attributeProducer, attributeReader, splitAttribute } from "../attributes.ts";
import { keep } from "./keeping.ts";

const OPERATORS = {
  LessThan: (a: number, b: number) => a < b,
  LessThanOrEqual: (a: number, b: number) => a <= b,
  GreaterThan: (a: number, b: number) => a > b,
  GreaterThanOrEqual: (a: number, b: number) => a >= b,
  Equal: (a: number, b: number) => a === b,
  NotEqual: (a: number, b: number) => a !== b,
} as const;
type Operator = keyof typeof OPERATORS;

const threshold = object({
  operator: required(
    choice<Operator>({
      doc: "How the value must compare with the threshold.",
      default: "LessThan",
      of: ["LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual", "Equal", "NotEqual"],
    }),
  ),
  value: number({ doc: "The threshold.", default: 0 }),
});

/** Keeps endpoints by the value of an attribute. */
export const endpointAttributeFilter = definePlugin({
  type: "endpoint-attribute-filter",
  kinds: ["filter"],
  stability: "alpha",
  description: "Keeps endpoints whose attribute is on the right side of a threshold.",
  migrate: splitAttribute("attribute"),
  parameters: object({
    attribute: required(text({ doc: "Name of the attribute.", default: "", nonEmpty: true })),
    producer: attributeProducer,
    onMissing: choice({ doc: "What happens to endpoints without it.", default: "Pass", of: ["Pass", "Fail"] }),
    fallbackOnEmpty: bool({ doc: "Keep all when none would be left.", default: false }),
    algorithm: required(
      object({
        type: required(choice({ doc: "How it is judged.", default: "threshold", of: ["threshold"] })),
        threshold: required(threshold),
      }),
    ),
  }),
  create: ({ attribute, producer, onMissing, fallbackOnEmpty, algorithm }) => {
    const read = attributeReader(attribute, producer);
    const { operator, value: limit } = algorithm.threshold;
    const holds = OPERATORS[operator];
    const passes = (value: number): boolean => (Number.isNaN(value) ? onMissing === "Pass" : holds(value, limit));
    return {
      filter: ({ endpoints }, slots, count) => {
        if (fallbackOnEmpty && !slots.subarray(0, count).some((slot) => passes(read(endpoints, slot)))) return count;
        return keep(slots, count, (slot) => passes(read(endpoints, slot)));
      },
      dropReason: ({ endpoints }, slot) => `${attribute} ${read(endpoints, slot)} is not ${operator} ${limit}`,
    };
  },
});
