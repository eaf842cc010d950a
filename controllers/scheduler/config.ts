import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { dumpYaml } from "../../kube/yaml.ts";
import { parseConfigText } from "../../scheduler/config/text.ts";
import { at, objectAt, sameJson, textAt } from "../../crds/json.ts";
import { named, objectsOf, stringsOf } from "../json-edit.ts";
import type { Pass } from "../llminferenceservice/pass.ts";
import { loraAdapters } from "../workload/lora.ts";
import { MAIN_CONTAINER } from "../workload/pod.ts";
import { flagValue } from "./command-line.ts";
import {
  type PickerChoice,
  type ScorerChoice,
  type SchedulerTopology,
  chosenSchedulerConfig,
  defaultForRelease,
  isEarlierDefault,
} from "./default-config.ts";
import type { Release } from "./release.ts";

/** Flags that carry a configuration as text, without their dashes. */
export const TEXT_FLAGS: ReadonlySet<string> = new Set(["config-text", "configText"]);
const CONFIG_FLAGS = new Set([...TEXT_FLAGS, "config-file", "configFile"]);

function commandLine(pod: Json | undefined): readonly string[] {
  const main = named(at(pod, "containers"), MAIN_CONTAINER);
  return [...stringsOf(main?.["command"]), ...stringsOf(main?.["args"])];
}

/** Whether the scheduler's pod spec brings a configuration of its own on the command line. */
export function templateConfigures(template: Json | undefined): boolean {
  return flagValue(commandLine(template), CONFIG_FLAGS) !== undefined;
}

/** The configuration text on the command line of a scheduler's pod spec. */
export function configTextOf(pod: Json | undefined): string | undefined {
  return flagValue(commandLine(pod), TEXT_FLAGS);
}

/** The scorers that `scorerPlugins` names, in order; weight 1 where none is given. */
export function chosenScorers(scheduler: Json | undefined): readonly ScorerChoice[] {
  return objectsOf(at(scheduler, "scorerPlugins")).map((scorer) => {
    const weight = scorer["weight"];
    return {
      name: textAt(scorer, "name") ?? "",
      weight: typeof weight === "number" ? weight : 1,
      parameters: objectAt(scorer, "parameters"),
    };
  });
}

function chosenPicker(scheduler: Json | undefined): PickerChoice | undefined {
  const name = textAt(scheduler, "pickerPlugin", "name");
  return name === undefined ? undefined : { name, parameters: objectAt(scheduler, "pickerPlugin", "parameters") };
}

/** Topology of a spec as far as the scheduler's configuration follows it. */
export function topologyOf(spec: JsonObject): SchedulerTopology {
  return { disaggregated: objectAt(spec, "prefill") !== undefined, lora: loraAdapters(spec).length > 0 };
}

/** YAML of a configuration: keys in the order given, no line breaks within values. */
export function renderConfig(config: JsonObject): string {
  return dumpYaml(config);
}

function parsed(text: string): unknown {
  try {
    return parseConfigText(text);
  } catch {
    return undefined;
  }
}

/** The default that an earlier release generated for the same topology stays: a new one would restart the scheduler. */
function defaultText(pass: Pass, livePod: JsonObject | undefined, release: Release): string {
  const topology = topologyOf(pass.spec);
  const live = configTextOf(livePod);
  const kept = live !== undefined && isEarlierDefault(parsed(live), topology);
  return kept
    ? live
    : renderConfig(defaultForRelease(release[0] > 0 ? Number.POSITIVE_INFINITY : release[1], topology));
}

function wantedText(pass: Pass, livePod: JsonObject | undefined, release: Release): string | undefined {
  const scheduler = at(pass.spec, "router", "scheduler");
  const inline = at(scheduler, "config", "inline");
  if (typeof inline === "string") return inline;
  if (typeof inline === "object" && inline !== null && !Array.isArray(inline)) return renderConfig(inline);
  if (templateConfigures(at(scheduler, "template"))) return undefined;
  const [scorers, picker] = [chosenScorers(scheduler), chosenPicker(scheduler)];
  return scorers.length === 0 && picker === undefined
    ? defaultText(pass, livePod, release)
    : renderConfig(chosenSchedulerConfig(topologyOf(pass.spec), scorers, picker));
}

/**
 * Arguments that configure the scheduler: the inline configuration, or none where the template brings one, or that of the
 * chosen scorers, or the default of the release that the pod runs.
 */
export function configArguments(pass: Pass, livePod: JsonObject | undefined, release: Release): readonly string[] {
  const wanted = wantedText(pass, livePod, release);
  return wanted === undefined ? [] : ["--config-text", wanted];
}

/** Whether two texts are one configuration, however they are written. */
export function sameConfig(left: string, right: string): boolean {
  if (left === right) return true;
  const value = parsed(left);
  return value !== undefined && sameJson(value, parsed(right));
}
