import type { Cycle } from "../../framework/cycle.ts";
import { PREFIX_MATCH, producerName } from "../../framework/data.ts";
import { integer, number, object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { viaPrimaryPort } from "./data-parallel.ts";
import { countDecisions } from "./decision-counter.ts";
import { announceStages, decodeResult, targetOf } from "./stages.ts";

const BYTES_PER_TOKEN = 4;
const ENCODE = "encode";

const parameters = object({
  decodeProfile: text({ doc: "Decode profile.", default: "decode" }),
  prefillProfile: text({ doc: "Prefill profile.", default: "prefill" }),
  deciderPluginName: text({ doc: "Decider of prefill; empty: `threshold` decides.", default: "" }),
  threshold: number({ doc: "Uncached prompt bytes from which prefill is apart; 0: always.", default: 0, min: 0 }),
  hashBlockSize: integer({ doc: "Accepted, not read: the producer of the match knows it.", default: 64, min: 1 }),
  prefixPluginType: text({ doc: "Accepted, not read.", default: "" }),
  prefixPluginName: text({ doc: "Accepted, not read.", default: "" }),
  prefixMatchInfoProducerName: producerName(PREFIX_MATCH),
  primaryPort: integer({ doc: "Port of the sidecar that knows all ranks; 0: none.", default: 0, min: 0, max: 65_535 }),
});

/** Former handler of prefill and decode on different pods. */
export const pdProfileHandler = definePlugin({
  type: "pd-profile-handler",
  kinds: ["profile-handler", "pre-request"],
  stability: "beta",
  deprecated: "disagg-profile-handler",
  description: "Picks a decode pod, and a prefill pod where the decider, or the uncached length, asks for one.",
  parameters,
  stages: ({ decodeProfile: decode, prefillProfile: prefill }) => ({ decode, prefill, encode: ENCODE }),
  consumes: ({ deciderPluginName, threshold, prefixMatchInfoProducerName: producer }) =>
    deciderPluginName === "" && threshold > 0 ? [{ key: PREFIX_MATCH, producer }] : [],
  references: ({ deciderPluginName: name }) =>
    name === "" ? [] : [{ name, path: "deciderPluginName", kind: "decider" }],
  create: (given, context) => {
    const stages = { decode: given.decodeProfile, prefill: given.prefillProfile, encode: ENCODE };
    const match = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
    const decider = given.deciderPluginName === "" ? undefined : context.plugin(given.deciderPluginName);
    const count = countDecisions(context, "pd-profile-handler", "pd");
    const wantsPrefill = (cycle: Cycle, slot: number): boolean => {
      if (decider !== undefined) return decider.decide?.(cycle, slot) ?? false;
      if (given.threshold === 0) return true;
      const { cachedBlocks, blockSizeTokens } = match.of(cycle);
      const length = cycle.request.body.promptBytes().reduce((sum, prompt) => sum + prompt.length, 0);
      const uncached = length - (cachedBlocks[slot] ?? 0) * blockSizeTokens * BYTES_PER_TOKEN;
      return length > 0 && uncached >= given.threshold;
    };
    return {
      nextProfiles: (cycle, profiles) => {
        const { results } = cycle;
        if (!results.has(stages.decode)) return profiles.includes(stages.decode) ? [stages.decode] : [];
        const decode = targetOf(cycle, stages.decode);
        if (decode < 0 || results.has(stages.prefill) || !profiles.includes(stages.prefill)) return [];
        cycle.peerSlot = decode;
        return wantsPrefill(cycle, decode) ? [stages.prefill] : [];
      },
      primaryProfile: (cycle) => decodeResult(cycle, stages.decode),
      preRequest: (cycle, decision) => {
        announceStages(cycle, decision, stages);
        if (given.primaryPort !== 0) viaPrimaryPort(decision, given.primaryPort);
        count(cycle, stages);
      },
    };
  },
});
