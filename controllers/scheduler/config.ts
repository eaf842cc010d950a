import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { dumpYaml, parseYaml } from "../../kube/yaml.ts";
import { at, objectAt, stringAt } from "../composition/json.ts";
import { named, objectsOf, sameJson, stringsOf } from "../json-edit.ts";
import type { Pass } from "../llminferenceservice/pass.ts";
import { loraAdapters } from "../workload/lora.ts";
import { MAIN_CONTAINER } from "../workload/pod.ts";
import {
  type PickerChoice,
  type ScorerChoice,
  type SchedulerTopology,
  chosenSchedulerConfig,
} from "./default-config.ts";

/** Flags that carry a configuration, without their dashes: text, or the path of a file. */
const TEXT_FLAGS = new Set(["config-text", "configText"]);
const CONFIG_FLAGS = new Set([...TEXT_FLAGS, "config-file", "configFile"]);

/** The flag of a command-line element, and its value where it is written `--flag=value`. */
function flagOf(element: string): { readonly flag: string; readonly value: string | undefined } {
  const match = /^--?([A-Za-z][\w-]*)(?:=([\s\S]*))?$/.exec(element);
  return { flag: match?.[1] ?? "", value: match?.[2] };
}

/** The value of the last of these flags in a command line, in both spellings. */
function flagValue(elements: readonly string[], flags: ReadonlySet<string>): string | undefined {
  return elements.reduce<string | undefined>((found, element, index) => {
    const { flag, value } = flagOf(element);
    return flags.has(flag) ? (value ?? elements[index + 1] ?? found) : found;
  }, undefined);
}

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
      name: stringAt(scorer, "name") ?? "",
      weight: typeof weight === "number" ? weight : 1,
      parameters: objectAt(scorer, "parameters"),
    };
  });
}

function chosenPicker(scheduler: Json | undefined): PickerChoice | undefined {
  const name = stringAt(scheduler, "pickerPlugin", "name");
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
    return parseYaml(text);
  } catch {
    return undefined;
  }
}

function wantedText(pass: Pass): string | undefined {
  const scheduler = at(pass.spec, "router", "scheduler");
  const inline = at(scheduler, "config", "inline");
  if (typeof inline === "string") return inline;
  if (typeof inline === "object" && inline !== null && !Array.isArray(inline)) return renderConfig(inline);
  if (templateConfigures(at(scheduler, "template"))) return undefined;
  return renderConfig(chosenSchedulerConfig(topologyOf(pass.spec), chosenScorers(scheduler), chosenPicker(scheduler)));
}

/**
 * Arguments that configure the scheduler: the inline configuration, or none where the template brings one, or that of the
 * chosen scorers, or the default. A live text that means the same stays, so that a reformatted one restarts nothing.
 */
export function configArguments(pass: Pass, livePod: JsonObject | undefined): readonly string[] {
  const wanted = wantedText(pass);
  if (wanted === undefined) return [];
  const live = configTextOf(livePod);
  const same = live !== undefined && live !== wanted && sameJson(parsed(live), parsed(wanted));
  return ["--config-text", same ? live : wanted];
}
