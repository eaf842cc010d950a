import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { parseConfigText } from "../../scheduler/config/text.ts";
import { isObject, listAt, sameJson, textAt } from "../../crds/json.ts";
import { named, objectsOf, stringsOf, withoutNamed } from "../json-edit.ts";
import { MAIN_CONTAINER, editContainer } from "../workload/pod.ts";
import { flagOf, withoutFlags } from "./command-line.ts";
import { TEXT_FLAGS, renderConfig } from "./config.ts";
import { type Release, isSince } from "./release.ts";
import {
  METRIC_FLAGS,
  SCRAPE_FLAGS,
  SCRAPE_SWITCHES,
  declares,
  upgradeSteps,
  withEngineMetrics,
  withMetricsSource,
} from "./upgrade-config.ts";

/** Container in which the first releases with a tokenizer ran it. */
export const TOKENIZER_CONTAINER = "tokenizer";

/** Where the configuration stands among the arguments. */
interface Place {
  readonly index: number;
  readonly prefix: string;
}

function textPlace(args: readonly string[]): Place | undefined {
  const index = args.findLastIndex((arg) => TEXT_FLAGS.has(flagOf(arg).flag));
  if (index < 0) return undefined;
  const { value } = flagOf(args[index] ?? "");
  if (value !== undefined) return { index, prefix: (args[index] ?? "").slice(0, -value.length || undefined) };
  return index + 1 < args.length ? { index: index + 1, prefix: "" } : undefined;
}

/** The configuration, or undefined where the text is none: then the scheduler says what is wrong with it. */
function parsedConfig(text: string): JsonObject | undefined {
  try {
    const value: Json = parseConfigText(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

type Lines = "command" | "args";

/** Strips flags from every container of the pod; what they were set to, the main container's last. */
function strip(
  pod: JsonObject,
  lines: readonly Lines[],
  flags: ReadonlySet<string>,
  switches?: ReadonlySet<string>,
): { readonly pod: JsonObject; readonly values: ReadonlyMap<string, string> } {
  const values = new Map<string, string>();
  const containers = objectsOf(pod["containers"]).map((container) =>
    lines.reduce((result, line) => {
      const before = stringsOf(result[line]);
      const stripped = withoutFlags(before, flags, switches);
      for (const [flag, value] of stripped.values) values.set(flag, value);
      return stripped.values.size === 0 ? result : { ...result, [line]: [...stripped.elements] };
    }, container),
  );
  return { pod: { ...pod, containers }, values };
}

interface Upgraded {
  readonly pod: JsonObject;
  readonly config: JsonObject;
}

function metricsTaken({ pod, config }: Upgraded, release: Release): Upgraded {
  if (!isSince(release, 0, 7)) return { pod, config };
  const taken = strip(pod, ["args"], METRIC_FLAGS);
  return { pod: taken.pod, config: withEngineMetrics(config, taken.values) };
}

function scrapingTaken({ pod, config }: Upgraded, release: Release): Upgraded {
  if (!isSince(release, 0, 10)) return { pod, config };
  const taken = strip(pod, ["command", "args"], SCRAPE_FLAGS, SCRAPE_SWITCHES);
  return { pod: taken.pod, config: withMetricsSource(config, taken.values) };
}

/** What an upgrade depends on. */
export interface SchedulerUpgrade {
  /** Release of the endpoint picker that the pod runs. */
  readonly release: Release;
  /** URL of the tokenizer's Service; undefined where there is none. */
  readonly tokenizerUrl: string | undefined;
}

/**
 * The scheduler's pod spec with configuration and flags in the spelling of its release: what older releases took as flags
 * becomes configuration, renamed plugins get their new names (KServe v0.20). A configuration in a file is not the operator's
 * to change: then the pod stays as it is, and so does a text that is no configuration.
 */
export function upgradedScheduler(pod: JsonObject, { release, tokenizerUrl }: SchedulerUpgrade): JsonObject {
  const main = named(pod["containers"], MAIN_CONTAINER);
  const place = textPlace(stringsOf(main?.["args"]));
  const text = place && stringsOf(main?.["args"])[place.index]?.slice(place.prefix.length);
  const given = text === undefined ? undefined : parsedConfig(text);
  if (given === undefined) return pod;
  const inPod = named(pod["containers"], TOKENIZER_CONTAINER) !== undefined;
  const taken = metricsTaken({ pod, config: given }, release);
  const stepped = upgradeSteps({ release, tokenizerInPod: inPod, tokenizerUrl }).reduce(
    (config, step) => step(config),
    taken.config,
  );
  const result = scrapingTaken({ pod: taken.pod, config: stepped }, release);
  const unneeded = inPod && isSince(release, 0, 9) && !declares(given, "precise-prefix-cache-scorer");
  const rest = unneeded
    ? { ...result.pod, containers: withoutNamed(result.pod["containers"], TOKENIZER_CONTAINER) }
    : result.pod;
  return sameJson(result.config, given) ? rest : withConfigText(rest, renderConfig(result.config));
}

function withConfigText(pod: JsonObject, text: string): JsonObject {
  return editContainer(pod, MAIN_CONTAINER, (main) => {
    const args = [...stringsOf(main["args"])];
    const place = textPlace(args);
    if (place !== undefined) args[place.index] = `${place.prefix}${text}`;
    return { ...main, args };
  });
}

/** Whether a configuration of the service still declares the scorer that is three plugins now. */
export function usesDeprecatedScorer(config: Json | undefined): boolean {
  return listAt(config, "plugins").some((plugin) => textAt(plugin, "type") === "precise-prefix-cache-scorer");
}
