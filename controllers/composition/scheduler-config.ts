import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { YamlError } from "../../kube/yaml.ts";
import { parseConfigText } from "../../scheduler/config/text.ts";
import { configTextOf } from "../scheduler/config.ts";
import { usesDeprecatedScorer } from "../scheduler/upgrade.ts";
import { at, isObject, listAt, objectAt, textAt } from "../../crds/json.ts";
import type { SchedulerNeeds } from "./preset-selection.ts";
import type { ComposeInput, CompositionError, CompositionWarning } from "./types.ts";

const PATH = "spec.router.scheduler.config.ref";
const DEFAULT_KEY = "epp";
/** ConfigMaps whose names start so may lie in the operator's namespace, for all services. */
const SHARED_PREFIX = "config-scheduler-";

/** What `router.scheduler.config.ref` leads to: a text, nothing (no reference, or an optional one), or an error. */
export type ReferencedConfig =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "error"; readonly error: CompositionError };

const failure = (message: string): ReferencedConfig => ({ kind: "error", error: { path: PATH, message } });

function checked(text: string, place: string): ReferencedConfig {
  try {
    if (isObject(parseConfigText(text))) return { kind: "text", text };
    return failure(`${place} must hold one YAML mapping, an EndpointPickerConfig`);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    return failure(`${place} is not valid YAML: ${error.message}`);
  }
}

/** Looks up the ConfigMap that a spec's scheduler configuration refers to (KServe v0.20; `optional` is honoured). */
export function referencedConfig(spec: JsonObject, input: ComposeInput): ReferencedConfig {
  const ref = objectAt(spec, "router", "scheduler", "config", "ref");
  if (ref === undefined) return { kind: "none" };
  const name = textAt(ref, "name") ?? "";
  const key = textAt(ref, "key") || DEFAULT_KEY;
  const own = input.service.metadata.namespace;
  const namespaces = [
    own,
    ...(name.startsWith(SHARED_PREFIX) && own !== input.systemNamespace ? [input.systemNamespace] : []),
  ];
  const optional = ref["optional"] === true;
  const found = namespaces.find((namespace) => input.findConfigMap(namespace, name) !== undefined);
  if (found === undefined)
    return optional
      ? { kind: "none" }
      : failure(
          `ConfigMap ${JSON.stringify(name)} not found in namespaces [${namespaces.join(" ")}]: create it, or set optional`,
        );
  const text = input.findConfigMap(found, name)?.data?.[key];
  if (text !== undefined) return checked(text, `ConfigMap ${found}/${name}, key ${JSON.stringify(key)}`);
  return optional ? { kind: "none" } : failure(`ConfigMap ${found}/${name} doesn't have key ${JSON.stringify(key)}`);
}

function parsed(text: string): Json {
  try {
    return parseConfigText(text);
  } catch (error) {
    if (error instanceof YamlError) return null;
    throw error;
  }
}

function effectiveConfig(scheduler: JsonObject, referenced: ReferencedConfig): Json | undefined {
  if (referenced.kind === "text") return parsed(referenced.text);
  const inline = at(scheduler, "config", "inline");
  if (inline !== undefined) return typeof inline === "string" ? parsed(inline) : inline;
  const text = configTextOf(scheduler["template"]);
  return text === undefined ? undefined : parsed(text);
}

/** What of a completed spec's scheduler configuration has a successor (KServe v0.20: reason `DeprecatedPlugin`). */
export function deprecationWarnings(spec: JsonObject): readonly CompositionWarning[] {
  const inline = at(spec, "router", "scheduler", "config", "inline");
  const config = typeof inline === "string" ? parsed(inline) : inline;
  if (!usesDeprecatedScorer(config)) return [];
  return [
    {
      reason: "DeprecatedPlugin",
      message:
        "spec.router.scheduler.config.inline: precise-prefix-cache-scorer is deprecated: declare token-producer, precise-prefix-cache-producer and prefix-cache-scorer instead; until then the operator does",
    },
  ];
}

/** Which helpers the scheduler's configuration needs: found by the types of its plugins. */
export function schedulerNeeds(spec: JsonObject, referenced: ReferencedConfig): SchedulerNeeds {
  const scheduler = objectAt(spec, "router", "scheduler");
  if (scheduler === undefined) return { tokenizer: false, latencyPredictor: false };
  const types = new Set(listAt(effectiveConfig(scheduler, referenced), "plugins").map((plugin) => at(plugin, "type")));
  return {
    tokenizer:
      objectAt(scheduler, "tokenizer") !== undefined ||
      types.has("token-producer") ||
      types.has("precise-prefix-cache-scorer"),
    latencyPredictor: types.has("predicted-latency-producer"),
  };
}
