import { readFileSync, readdirSync } from "node:fs";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import type { KubeObject } from "../../kube/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { isObject, objectAt } from "../../crds/json.ts";

/** Prefix of preset names unless `LLM_INFERENCE_SERVICE_CONFIG_PREFIX` says otherwise (KServe v0.20). */
export const DEFAULT_PRESET_PREFIX = "kserve-";

/** How the presets are installed. */
export interface PresetSetOptions {
  /** Prefix of their names; `kserve-` by default. */
  readonly prefix?: string;
  /** The operator's namespace; `kserve` by default. */
  readonly namespace?: string;
  /** Images to run in place of the presets' own, by repository without registry and tag (`llmisvc-scheduler`). */
  readonly images?: Readonly<Record<string, string>>;
}

const FOLDER = new URL("../../templates/presets/", import.meta.url);
const INCLUDE = /^#include (\S+)\n?/gm;

function script(name: string): string {
  return withIncludes(readFileSync(new URL(`scripts/${name}`, FOLDER), "utf8"));
}

/** The text with every line `#include <file>` replaced by that file of `scripts/`. */
function withIncludes(text: string): string {
  return text.replace(INCLUDE, (_line, name: string) => script(name));
}

const repositoryOf = (image: string): string => /([^/:@]+)(?:[:@].*)?$/.exec(image)?.[1] ?? image;

function edited(value: Json, images: Readonly<Record<string, string>>): Json {
  if (typeof value === "string") return withIncludes(value);
  if (Array.isArray(value)) return value.map((item) => edited(item, images));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => {
    const replacement = key === "image" && typeof item === "string" ? images[repositoryOf(item)] : undefined;
    return [key, replacement ?? edited(item, images)] as const;
  });
  return Object.fromEntries(entries);
}

function presetsOf(file: string): readonly (readonly [string, Json])[] {
  const presets = objectAt(parseYaml(readFileSync(new URL(file, FOLDER), "utf8")), "presets");
  if (presets === undefined) throw new Error(`${file}: no presets`);
  return Object.entries(presets);
}

let loaded: readonly (readonly [string, Json])[] | undefined;

/** Suffix and spec of every preset; the files are read once. */
function allPresets(): readonly (readonly [string, Json])[] {
  loaded ??= readdirSync(FOLDER)
    .filter((file) => file.endsWith(".yaml"))
    .sort()
    .flatMap(presetsOf);
  return loaded;
}

function config(name: string, namespace: string, spec: JsonObject): KubeObject {
  return {
    apiVersion: "serving.kserve.io/v1alpha2",
    kind: "LLMInferenceServiceConfig",
    metadata: { name, namespace },
    spec,
  };
}

/**
 * The presets that ship with the operator, as `LLMInferenceServiceConfig` objects of its namespace: their content is
 * `templates/presets/`. Every call gives objects of its own.
 */
export function wellKnownConfigs(options: PresetSetOptions = {}): KubeObject[] {
  const { prefix = DEFAULT_PRESET_PREFIX, namespace = "kserve", images = {} } = options;
  return allPresets().map(([suffix, spec]) => {
    const own = edited(spec, images);
    if (!isObject(own)) throw new Error(`preset ${suffix}: not an object`);
    return config(`${prefix}${suffix}`, namespace, own);
  });
}
