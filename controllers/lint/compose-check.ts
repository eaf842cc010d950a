import { schemaOf } from "../../crds/check.ts";
import { at, isObject, objectAt, textAt } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { convert } from "../../crds/conversion.ts";
import { GROUP, STORAGE_VERSION } from "../../crds/definitions.ts";
import { validateService } from "../../crds/validation.ts";
import { compose } from "../composition/compose.ts";
import { DEFAULT_PRESET_PREFIX, wellKnownConfigs } from "../composition/presets.ts";
import type { ServiceConfig } from "../composition/types.ts";
import { stringMapOf } from "../json-edit.ts";
import type { LintContext } from "./lint.ts";

const HUB = `${GROUP}/${STORAGE_VERSION}`;

/** Objects that services refer to, by `namespace/name`. */
export interface Bases {
  readonly configs: ReadonlyMap<string, JsonObject>;
  readonly configMaps: ReadonlyMap<string, JsonObject>;
}

/** What composing a service tells. */
export interface ComposeProblem {
  readonly severity: "error" | "warning";
  readonly path: string;
  readonly message: string;
}

const PRESETS = wellKnownConfigs({}).map((config) => JSON.parse(JSON.stringify(config)) as JsonObject);

/** Whether bases, presets and the service make a whole: what is missing, and what only the merged spec gets wrong. */
export function composeErrors(
  service: JsonObject,
  objects: readonly JsonObject[],
  context: LintContext,
): ComposeProblem[] {
  const { systemNamespace, namespace, global, live } = context;
  const place = textAt(service, "metadata", "namespace") ?? namespace;
  const metadata = objectAt(service, "metadata") ?? {};
  const configs = new Map<string, JsonObject>([
    ...PRESETS.map((config): [string, JsonObject] => [
      `${systemNamespace}/${textAt(config, "metadata", "name")}`,
      config,
    ]),
    ...(live?.configs ?? []),
    ...keyed(objects, "LLMInferenceServiceConfig", namespace),
  ]);
  const configMaps = new Map<string, JsonObject>([
    ...(live?.configMaps ?? []),
    ...keyed(objects, "ConfigMap", namespace),
  ]);
  const result = compose({
    service: {
      metadata: {
        name: textAt(metadata, "name") ?? "unnamed",
        namespace: place,
        labels: stringMapOf(metadata["labels"]),
        annotations: stringMapOf(metadata["annotations"]),
      },
      spec: objectAt(service, "spec") ?? {},
    },
    systemNamespace,
    presets: { prefix: DEFAULT_PRESET_PREFIX, pinned: true },
    global: global(),
    findConfig: (configNamespace, name) => configOf(configs.get(`${configNamespace}/${name}`), configNamespace),
    findConfigMap: (mapNamespace, name) => {
      const found = configMaps.get(`${mapNamespace}/${name}`);
      return found && { data: stringMapOf(found["data"]) };
    },
    validate: (spec) => validateService({ metadata, spec }).errors,
  });
  if (result.kind !== "failed") return [];
  const missing = result.reason === "ConfigNotFound" || /ConfigMap .*not found/.test(result.message);
  // Without a cluster it may well be there.
  if (missing && live === undefined)
    return [
      {
        severity: "warning",
        path: missingPath(result.reason),
        message: `${result.message}: not among the given files`,
      },
    ];
  const errors =
    result.errors.length > 0 ? result.errors : [{ path: missingPath(result.reason), message: result.message }];
  return errors.map(({ path, message }) => ({
    severity: "error",
    path: path === "" ? missingPath(result.reason) : path,
    message,
  }));
}

const missingPath = (reason: string): string => (reason === "ConfigNotFound" ? "spec.baseRefs" : "spec");

function keyed(objects: readonly JsonObject[], kind: string, namespace: string): [string, JsonObject][] {
  return objects
    .filter((object) => textAt(object, "kind") === kind && (kind === "ConfigMap" || schemaOf(object) !== undefined))
    .map((object) => [
      `${textAt(object, "metadata", "namespace") ?? namespace}/${textAt(object, "metadata", "name")}`,
      object,
    ]);
}

function configOf(config: JsonObject | undefined, namespace: string): ServiceConfig | undefined {
  if (config === undefined) return undefined;
  const hub = convert(config, HUB);
  const spec: Json | undefined = at(hub, "spec");
  return { metadata: { name: textAt(hub, "metadata", "name") ?? "", namespace }, spec: isObject(spec) ? spec : {} };
}
