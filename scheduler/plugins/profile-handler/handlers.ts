import { PREFIX_MATCH } from "../../framework/data.ts";
import type { Cycle, Decision } from "../../framework/cycle.ts";
import { choice, integer, noParameters, object, text } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin, type Plugin } from "../../framework/plugin.ts";

const PREFILL_HEADER = "x-prefiller-host-port";

/** Runs the only profile. */
export const singleProfileHandler = definePlugin({
  type: "single-profile-handler",
  kinds: ["profile-handler"],
  stability: "beta",
  description: "Runs the only profile.",
  parameters: noParameters(),
  create: () => ({
    nextProfiles: (cycle, profiles) => (cycle.results.names().length === 0 ? profiles : []),
    primaryProfile: (cycle) => {
      const profile = cycle.results.names()[0] ?? "";
      const refusal = cycle.results.refusal(profile);
      return refusal === undefined ? { profile } : { refusal };
    },
  }),
});

/** Names the prefill target to the decode pod's sidecar. */
function announcePrefill(cycle: Cycle, decision: Decision, profile: string): void {
  const slot = decision.results.get(profile)?.slots[0];
  if (slot !== undefined) decision.setHeader(PREFILL_HEADER, cycle.endpoints.metadata(slot).hostPort);
}

function headersHandler(type: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["pre-request"],
    stability: "beta",
    deprecated: "disagg-profile-handler",
    description: "Tells the decode pod which pod prefills.",
    parameters: object({
      prefillProfile: text({ doc: "Name of the prefill profile.", default: "prefill" }),
      encodeProfile: text({ doc: "Name of the encode profile.", default: "encode" }),
    }),
    create: ({ prefillProfile }) => ({
      preRequest: (cycle, decision) => announcePrefill(cycle, decision, prefillProfile),
    }),
  });
}

/** Header part of the disaggregation, for configurations that name it apart from the handler. */
export const disaggHeadersHandler = headersHandler("disagg-headers-handler");
/** Its first name. */
export const prefillHeaderHandler = headersHandler("prefill-header-handler");

const parameters = object({
  stageOrder: choice({ doc: "Stage that is decided first.", default: "decode-first", of: ["decode-first"] }),
  profiles: object({
    decode: text({ doc: "Decode profile.", default: "decode" }),
    prefill: text({ doc: "Prefill profile.", default: "prefill" }),
  }),
  deciders: object({ prefill: text({ doc: "Decider of prefill; empty: never.", default: "" }) }),
});

function disaggregating(
  decode: string,
  prefill: string,
  wantsPrefill: (cycle: Cycle, slot: number) => boolean,
): Plugin {
  return {
    nextProfiles: (cycle, profiles) => {
      const { results } = cycle;
      if (!results.has(decode)) return profiles.includes(decode) ? [decode] : [];
      const target = results.get(decode)?.slots[0];
      if (target === undefined || results.has(prefill) || !profiles.includes(prefill)) return [];
      cycle.peerSlot = target;
      if (wantsPrefill(cycle, target)) return [prefill];
      results.skip(prefill);
      return [];
    },
    primaryProfile: ({ results }) => {
      if (results.get(decode) !== undefined) return { profile: decode };
      const refusal = results.refusal(decode);
      return {
        refusal: refusal ?? { code: "ResourceExhausted", message: "failed to find available decode workers" },
      };
    },
    preRequest: (cycle, decision) => announcePrefill(cycle, decision, prefill),
  };
}

/** Runs the decode profile and, where the decider says so, the prefill profile. */
export const disaggProfileHandler = definePlugin({
  type: "disagg-profile-handler",
  kinds: ["profile-handler", "pre-request"],
  stability: "beta",
  description: "Picks a decode pod, then a prefill pod where the decider asks for one.",
  parameters,
  references: ({ deciders }) =>
    deciders.prefill === "" ? [] : [{ name: deciders.prefill, path: "deciders.prefill", kind: "decider" }],
  create: ({ profiles, deciders }, context) => {
    const decider = deciders.prefill === "" ? undefined : context.plugin(deciders.prefill);
    return disaggregating(profiles.decode, profiles.prefill, (cycle, slot) => decider?.decide?.(cycle, slot) ?? false);
  },
});

/** Prefill and decode on separate pods for every request. */
export const alwaysDisaggPdDecider = definePlugin({
  type: "always-disagg-pd-decider",
  kinds: ["decider"],
  stability: "beta",
  description: "Prefills every request on another pod.",
  parameters: noParameters(),
  create: () => ({ decide: () => true }),
});

const APPROXIMATE = "approx-prefix-cache-producer";
const BYTES_PER_TOKEN = 4;

/** Former disaggregating handler: prefills apart when at least `threshold` bytes of the prompt are not cached. */
export const pdProfileHandler = definePlugin({
  type: "pd-profile-handler",
  kinds: ["profile-handler", "pre-request"],
  stability: "beta",
  deprecated: "disagg-profile-handler",
  description: "Picks a decode pod, and a prefill pod for prompts that are long and not cached.",
  parameters: object({
    decodeProfile: text({ doc: "Decode profile.", default: "decode" }),
    prefillProfile: text({ doc: "Prefill profile.", default: "prefill" }),
    threshold: integer({ doc: "Uncached bytes from which a request is disaggregated; 0: always.", default: 0, min: 0 }),
    hashBlockSize: integer({ doc: "Accepted; the producer of the prefix match knows its block size.", default: 64 }),
    prefixPluginName: text({ doc: "Accepted, unused.", default: "" }),
    prefixPluginType: text({ doc: "Accepted, unused.", default: "" }),
    prefixMatchInfoProducerName: text({ doc: "Producer of the prefix match.", default: APPROXIMATE }),
    deciderPluginName: text({ doc: "Decider of prefill; empty: the threshold decides.", default: "" }),
    primaryPort: integer({ doc: "Accepted, unused.", default: 0, min: 0, max: 65_535 }),
  }),
  consumes: (given) => [{ key: PREFIX_MATCH, producer: given.prefixMatchInfoProducerName }],
  references: ({ deciderPluginName: name }) =>
    name === "" ? [] : [{ name, path: "deciderPluginName", kind: "decider" }],
  create: (given, context) => {
    const match = context.data(PREFIX_MATCH, given.prefixMatchInfoProducerName);
    const decider = given.deciderPluginName === "" ? undefined : context.plugin(given.deciderPluginName);
    return disaggregating(given.decodeProfile, given.prefillProfile, (cycle, slot) => {
      if (decider !== undefined) return decider.decide?.(cycle, slot) ?? false;
      const { cachedBlocks, blockSizeTokens } = match.of(cycle);
      const length = cycle.request.body.promptBytes().reduce((sum, prompt) => sum + prompt.length, 0);
      const uncached = length - (cachedBlocks[slot] ?? 0) * blockSizeTokens * BYTES_PER_TOKEN;
      return length > 0 && (given.threshold === 0 || uncached >= given.threshold);
    });
  },
});
