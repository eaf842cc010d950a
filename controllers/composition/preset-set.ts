import { createHash } from "node:crypto";
import type { Json } from "../../crds/schema/types.ts";
import type { KubeObject } from "../../kube/types.ts";
import { isObject, sameJson } from "../../crds/json.ts";
import { DEFAULT_PRESET_PREFIX } from "./presets.ts";

/** Annotation of an installed preset: digest of the content with which the operator shipped it. */
export const DIGEST_ANNOTATION = "serving.kserve.io/preset-digest";

const DIGEST_DIGITS = 8;

/** JSON with keys in order, so that equal values give equal texts. */
function ordered(value: Json | undefined): Json {
  if (Array.isArray(value)) return value.map(ordered);
  if (!isObject(value)) return value ?? null;
  const entries = Object.entries(value).map(([key, item]) => [key, ordered(item)] as const);
  return Object.fromEntries(entries.sort(([left], [right]) => (left < right ? -1 : 1)));
}

function digest(value: Json): string {
  return createHash("sha256")
    .update(JSON.stringify(ordered(value)))
    .digest("hex")
    .slice(0, DIGEST_DIGITS);
}

const specOf = (preset: KubeObject): Json => (preset["spec"] ?? {}) as Json;

function withDigest(preset: KubeObject): KubeObject {
  const annotations = { ...preset.metadata.annotations, [DIGEST_ANNOTATION]: digest(specOf(preset)) };
  return { ...preset, metadata: { ...preset.metadata, annotations } };
}

/** Which presets the services of an operator start with. */
export interface PresetSet {
  /** Prefix of their names. */
  readonly prefix: string;
  /** All of them; those that exist already are not to be touched: their content may be the user's by now. */
  readonly presets: readonly KubeObject[];
}

/** Whether a live preset is the one that is shipped, edited or not, and not one of another release. */
function isOfThisRelease(live: KubeObject | undefined, shipped: KubeObject): boolean {
  if (live === undefined) return true;
  const installed = live.metadata.annotations?.[DIGEST_ANNOTATION];
  return installed === shipped.metadata.annotations?.[DIGEST_ANNOTATION] || sameJson(live["spec"], shipped["spec"]);
}

/**
 * The set of presets under the given prefix, or, where the cluster holds one of another release under that name (or KServe's
 * own), a set of its own beside it: services that run keep the names they are pinned to and are not restarted, services to
 * come get the new ones. `shipped` makes the presets under a prefix, `find` shows live ones. A prefix that the administrator
 * chose is kept whatever lies there.
 */
export function choosePresetSet(
  shipped: (prefix: string) => readonly KubeObject[],
  find: (name: string) => KubeObject | undefined,
  prefix: string,
): PresetSet {
  const under = (name: string): PresetSet => ({ prefix: name, presets: shipped(name).map(withDigest) });
  const plain = under(prefix);
  const fits = plain.presets.every((preset) => isOfThisRelease(find(preset.metadata.name), preset));
  if (fits || prefix !== DEFAULT_PRESET_PREFIX) return plain;
  return under(`${digest(plain.presets.map(specOf))}-${prefix}`);
}

/** Whether a config is a preset of some release: its name is a well-known one, under the prefix or a set beside it. */
export function isPresetName(name: string, suffixes: readonly string[], prefix: string): boolean {
  return suffixes.some((suffix) => {
    if (!name.endsWith(`${prefix}${suffix}`)) return false;
    const before = name.slice(0, -(prefix.length + suffix.length));
    return before === "" || /^[0-9a-f]{8}-$/.test(before);
  });
}
