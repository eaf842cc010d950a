import type { Cycle } from "../../framework/cycle.ts";
import { TOKENIZED_PROMPT } from "../../framework/data.ts";
import { bool, object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { keep } from "../filter/keeping.ts";

/** Lengths that an endpoint is meant for; both ends belong to it. */
interface Range {
  readonly min: number;
  readonly max: number;
}

const NEUTRAL = 0.5;

/** `min-max` in tokens; undefined for any other text. */
function parseRange(label: string): Range | undefined {
  const match = /^\s*(\d+)\s*-\s*(\d+)\s*$/.exec(label);
  if (match === null) return undefined;
  const [min, max] = [Number(match[1]), Number(match[2])];
  return min <= max ? { min, max } : undefined;
}

const contains = ({ min, max }: Range, length: number): boolean => min <= length && length <= max;

/** Inside: better the narrower the range and the more room is left. Outside: the better the nearer. */
function rate({ min, max }: Range, length: number): number {
  const width = max - min;
  if (length < min) return 0.3 / (1 + (min - length) / 1000);
  if (length > max) return 0.3 / (1 + (length - max) / 1000);
  if (width === 0) return 1;
  return 0.3 + 0.7 * (0.7 / (1 + width / 10_000) + (0.3 * (max - length)) / width);
}

/** Prefers, or keeps, endpoints that a label dedicates to prompts of this length. */
export const contextLengthAware = definePlugin({
  type: "context-length-aware",
  kinds: ["filter", "scorer"],
  stability: "beta",
  description: "Prefers, or keeps, endpoints that a label `min-max` dedicates to prompts of this length in tokens.",
  parameters: object({
    label: text({ doc: "Label with the range.", default: "llm-d.ai/context-length-range", nonEmpty: true }),
    enableFiltering: bool({ doc: "Whether endpoints of other lengths are dropped.", default: false }),
    includeOutput: bool({ doc: "Whether the most tokens of the answer count too.", default: false }),
  }),
  consumes: () => [{ key: TOKENIZED_PROMPT, producer: "token-producer" }],
  create: ({ label, enableFiltering, includeOutput }, context) => {
    const tokens = context.data(TOKENIZED_PROMPT, "token-producer");
    /** Labels repeat over endpoints and requests; the map is bounded by clearing it. */
    const ranges = new Map<string, Range | undefined>();
    const rangeOf = (text: string): Range | undefined => {
      if (ranges.size > 1000) ranges.clear();
      if (!ranges.has(text)) ranges.set(text, parseRange(text));
      return ranges.get(text);
    };
    const lengthOf = (cycle: Cycle): number =>
      tokens.of(cycle).tokenCount + (includeOutput ? (cycle.request.body.maxOutputTokens ?? 0) : 0);
    return {
      filter: (cycle, slots, count) => {
        if (!enableFiltering) return count;
        const length = lengthOf(cycle);
        return keep(slots, count, (slot) => {
          const text = cycle.endpoints.metadata(slot).labels[label];
          const range = text === undefined ? undefined : rangeOf(text);
          return text === undefined || (range !== undefined && contains(range, length));
        });
      },
      dropReason: (cycle, slot) => `${lengthOf(cycle)} tokens, ${cycle.endpoints.metadata(slot).labels[label] ?? ""}`,
      score: (cycle, slots, count, scores) => {
        const length = lengthOf(cycle);
        for (let i = 0; i < count; i++) {
          const text = cycle.endpoints.metadata(slots[i] ?? 0).labels[label];
          const range = text === undefined ? undefined : rangeOf(text);
          if (text === undefined) scores[i] = NEUTRAL;
          else scores[i] = range === undefined ? 0 : rate(range, length);
        }
      },
    };
  },
});
