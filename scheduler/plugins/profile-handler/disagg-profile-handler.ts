import type { Cycle } from "../../framework/cycle.ts";
import { type Field, object, text } from "../../framework/parameters.ts";
import { definePlugin, type PluginReference, type ProfileHandler, type Stages } from "../../framework/plugin.ts";
import { countDecisions } from "./decision-counter.ts";
import { announceStages, decodeResult, targetOf } from "./stages.ts";

const ORDERS: Readonly<Record<string, "decode" | "prefill">> = {
  "": "decode",
  decodefirst: "decode",
  decode: "decode",
  prefillfirst: "prefill",
  prefill: "prefill",
};

/** The stage that is decided first, in any spelling of `decode-first` and `prefill-first`. */
function stageOrder(): Field<"decode" | "prefill"> {
  const inner = text({
    doc: "Stage that is decided first: `decode-first` or `prefill-first`.",
    default: "decode-first",
  });
  const accepts = "decode-first or prefill-first";
  return {
    ...inner,
    accepts,
    fallback: "decode",
    read: (value, path, report) => {
      const given = inner.read(value, path, report);
      const order = ORDERS[given.toLowerCase().replaceAll(/[-_]/g, "")];
      if (order !== undefined) return order;
      report.error({ path, value, cause: "invalid stage order", remedy: `give ${accepts}` });
      return "decode";
    },
  };
}

const parameters = object(
  {
    stageOrder: stageOrder(),
    profiles: object({
      decode: text({ doc: "Decode profile.", default: "decode" }),
      prefill: text({ doc: "Prefill profile.", default: "prefill" }),
      encode: text({ doc: "Encode profile.", default: "encode" }),
    }),
    deciders: object({
      prefill: text({ doc: "Decider of prefill; empty: never apart.", default: "" }),
      encode: text({ doc: "Decider of encode; empty: never apart.", default: "" }),
    }),
  },
  {
    check: ({ stageOrder: order, deciders }, path, report) => {
      if (order === "decode" || deciders.prefill === "") return;
      const cause = "prefill decider is not supported in prefill-first stage order";
      report.error({ path: `${path}.deciders.prefill`, value: deciders.prefill, cause, remedy: "remove it" });
    },
  },
);

/** Former flat parameters, and where they are now. */
const FLAT: readonly (readonly [from: string, section: "profiles" | "deciders", to: string])[] = [
  ["decodeProfile", "profiles", "decode"],
  ["prefillProfile", "profiles", "prefill"],
  ["encodeProfile", "profiles", "encode"],
  ["deciderPluginName", "deciders", "prefill"],
  ["prefillDeciderPluginName", "deciders", "prefill"],
  ["encodeDeciderPluginName", "deciders", "encode"],
];

function unflatten(given: Readonly<Record<string, unknown>>, warn: (text: string) => void): Record<string, unknown> {
  if (given["profiles"] !== undefined || given["deciders"] !== undefined) return given;
  const sections: Record<"profiles" | "deciders", Record<string, unknown>> = { profiles: {}, deciders: {} };
  const rest = { ...given };
  for (const [from, section, to] of FLAT) {
    if (given[from] === undefined) continue;
    warn(`${from} is now ${section}.${to}`);
    if (given[from] !== "") sections[section][to] = given[from];
    delete rest[from];
  }
  return { ...rest, ...sections };
}

type Ask = (cycle: Cycle, slot: number) => boolean;

/** Decode first: encode and prefill follow where their deciders ask for them. */
function decodeFirst(stages: Stages, wantsPrefill: Ask, wantsEncode: Ask): ProfileHandler["nextProfiles"] {
  return (cycle, profiles) => {
    const { results } = cycle;
    if (!results.has(stages.decode)) return profiles.includes(stages.decode) ? [stages.decode] : [];
    const decode = targetOf(cycle, stages.decode);
    if (decode < 0) return [];
    for (const [stage, wants] of [[stages.encode, wantsEncode] as const, [stages.prefill, wantsPrefill] as const]) {
      if (!profiles.includes(stage) || results.has(stage)) continue;
      if (wants(cycle, decode)) {
        // KV blocks travel from prefill to decode; encoders may be anywhere.
        cycle.peerSlot = stage === stages.prefill ? decode : -1;
        return [stage];
      }
      results.skip(stage);
    }
    return [];
  };
}

/** Prefill first, whenever there is such a profile; then encode, then decode near the prefill pod. */
function prefillFirst(stages: Stages, wantsEncode: Ask): ProfileHandler["nextProfiles"] {
  return (cycle, profiles) => {
    const { results } = cycle;
    const isDue = (stage: string): boolean => profiles.includes(stage) && !results.has(stage);
    if (isDue(stages.prefill)) return [stages.prefill];
    if (isDue(stages.encode)) {
      if (wantsEncode(cycle, -1)) return [stages.encode];
      results.skip(stages.encode);
    }
    cycle.peerSlot = targetOf(cycle, stages.prefill);
    return isDue(stages.decode) ? [stages.decode] : [];
  };
}

/** Splits prefill, decode and encode over different pods where deciders ask for it. */
export const disaggProfileHandler = definePlugin({
  type: "disagg-profile-handler",
  kinds: ["profile-handler", "pre-request"],
  stability: "beta",
  description: "Picks a decode pod, and pods that prefill or encode where the deciders ask for them.",
  parameters,
  migrate: unflatten,
  stages: ({ profiles }) => profiles,
  references: ({ deciders }) =>
    (["prefill", "encode"] as const).flatMap((stage): readonly PluginReference[] =>
      deciders[stage] === "" ? [] : [{ name: deciders[stage], path: `deciders.${stage}`, kind: "decider" }],
    ),
  create: ({ stageOrder: order, profiles: stages, deciders }, context) => {
    const asking = (name: string): Ask => {
      const decider = name === "" ? undefined : context.plugin(name);
      return (cycle, slot) => decider?.decide?.(cycle, slot) ?? false;
    };
    const count = countDecisions(context, "disagg-profile-handler", "disagg");
    return {
      nextProfiles:
        order === "prefill"
          ? prefillFirst(stages, asking(deciders.encode))
          : decodeFirst(stages, asking(deciders.prefill), asking(deciders.encode)),
      primaryProfile: (cycle) => decodeResult(cycle, stages.decode),
      preRequest: (cycle, decision) => {
        announceStages(cycle, decision, stages);
        count(cycle, stages);
      },
    };
  },
});
