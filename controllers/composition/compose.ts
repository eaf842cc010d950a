import { type FieldError, type JsonObject, fieldErrorBody } from "../../crds/schema/types.ts";
import { childNames } from "../names.ts";
import { completeBeforeRendering, completeRendered } from "./completion.ts";
import { initializerWarnings } from "./initializer-check.ts";
import { isObject, listAt, objectAt, textAt } from "../../crds/json.ts";
import { loraErrors } from "./lora-check.ts";
import { managedDeviceErrors, withManagedDevices } from "./managed-devices.ts";
import { type Layer, LayerError, mergeLayers } from "./merge.ts";
import { CURRENT_PRESETS_ANNOTATION, pinPresets, presetName, selectPresets, withoutPins } from "./preset-selection.ts";
import { KEEP_PROBES_ANNOTATION, type ProbeCorrection, correctProbeSchemes } from "./probe-scheme.ts";
import { canonicalSpec } from "./quantities.ts";
import { renderSpec } from "./render.ts";
import { type ReferencedConfig, deprecationWarnings, referencedConfig, schedulerNeeds } from "./scheduler-config.ts";
import { templateData } from "./template-data.ts";
import type {
  AppliedConfig,
  ComposeInput,
  Composition,
  CompositionError,
  CompositionFailure,
  CompositionFailureReason,
  CompositionWarning,
  ServiceConfig,
} from "./types.ts";

/** Configs of one kind, found and not found, in the order asked for. */
interface Found {
  readonly configs: readonly ServiceConfig[];
  readonly missing: readonly string[];
}

function namespacesOf(input: ComposeInput): readonly string[] {
  return [...new Set([input.service.metadata.namespace, input.systemNamespace])];
}

/** A config in the service's namespace stands in for the one of that name in the operator's. */
function findConfigs(names: readonly string[], input: ComposeInput): Found {
  const namespaces = namespacesOf(input);
  const found = names.map((name) => {
    const config = namespaces.map((namespace) => input.findConfig(namespace, name)).find((item) => item !== undefined);
    return { name, config };
  });
  return {
    configs: found.flatMap(({ config }) => config ?? []),
    missing: [...new Set(found.flatMap(({ name, config }) => (config === undefined ? [name] : [])))],
  };
}

/** The default that KServe's CRD writes into a route given without rules: it would replace those of the preset. */
function isDefaultRules(rules: unknown): boolean {
  return JSON.stringify(rules) === '[{"matches":[{"path":{"type":"PathPrefix","value":"/"}}]}]';
}

function withoutDefaultRules(spec: JsonObject): JsonObject {
  const route = objectAt(spec, "router", "route", "http", "spec");
  if (route === undefined || !isDefaultRules(route["rules"])) return spec;
  const { rules: _defaulted, ...rest } = route;
  const [router, outer, http] = [
    objectAt(spec, "router"),
    objectAt(spec, "router", "route"),
    objectAt(spec, "router", "route", "http"),
  ];
  return { ...spec, router: { ...router, route: { ...outer, http: { ...http, spec: rest } } } };
}

const configLabel = ({ metadata }: ServiceConfig): string =>
  `LLMInferenceServiceConfig ${metadata.namespace}/${metadata.name}`;

function configLayer(config: ServiceConfig): Layer {
  const { baseRefs: _notFollowed, ...spec } = withoutDefaultRules(config.spec);
  return { label: configLabel(config), spec };
}

/**
 * The service's own layer. Admission gives a service without a model name its own name; a name from a base ref goes before
 * that, but not before one that the user chose.
 */
function ownLayer({ metadata, spec }: ComposeInput["service"]): Layer {
  const label = `LLMInferenceService ${metadata.namespace}/${metadata.name}`;
  const own = withoutDefaultRules(spec);
  const model = objectAt(own, "model");
  if (model?.["name"] !== metadata.name) return { label, spec: own };
  const { name: _defaulted, ...rest } = model;
  return { label, spec: { ...own, model: rest } };
}

/** A layer with the workloads that it has, and without their pods: what decides the presets. */
function withoutPods({ label, spec }: Layer): Layer {
  const bare = (workload: JsonObject): JsonObject => {
    const { template: _pod, worker, ...rest } = workload;
    return isObject(worker) ? { ...rest, worker: {} } : rest;
  };
  const prefill = objectAt(spec, "prefill");
  return { label, spec: prefill === undefined ? bare(spec) : { ...bare(spec), prefill: bare(prefill) } };
}

const applied = ({ metadata }: ServiceConfig, source: AppliedConfig["source"]): AppliedConfig => ({
  name: metadata.name,
  namespace: metadata.namespace,
  source,
});

const sentence = ({ path, message }: CompositionError): string => (path === "" ? message : `${path}: ${message}`);

/** The pins of earlier passes; none of them for a service that asks for the presets of the day. */
function earlierPins({ service }: ComposeInput): Readonly<Record<string, string>> {
  const pins = service.status?.annotations ?? {};
  return service.metadata.annotations?.[CURRENT_PRESETS_ANNOTATION] === "true" ? withoutPins(pins) : pins;
}

/** One composition: what every step needs. */
class Composer {
  readonly #input: ComposeInput;
  readonly #pins: Readonly<Record<string, string>>;
  readonly #own: Layer;

  constructor(input: ComposeInput) {
    this.#input = input;
    this.#pins = pinPresets(earlierPins(input), input.presets);
    this.#own = ownLayer(input.service);
  }

  #failure(
    reason: CompositionFailureReason,
    errors: readonly CompositionError[],
    more: Partial<CompositionFailure> = {},
  ): CompositionFailure {
    return {
      kind: "failed",
      reason,
      message: errors.map(sentence).join("; "),
      errors,
      appliedConfigs: [],
      statusAnnotations: this.#pins,
      warnings: [],
      missingConfigs: [],
      ...more,
    };
  }

  #notFound(missing: readonly string[]): CompositionFailure {
    const where = `not found in namespaces [${namespacesOf(this.#input).join(" ")}]`;
    const errors = missing.map((name) => ({ path: "", message: `LLMInferenceServiceConfig "${name}" ${where}` }));
    return this.#failure("ConfigNotFound", errors, { missingConfigs: missing });
  }

  run(): Composition {
    const refs = listAt(this.#own.spec, "baseRefs").map((ref) => textAt(ref, "name") ?? "");
    const unnamed = refs.flatMap((name, index) =>
      name === "" ? [{ path: `spec.baseRefs[${index}].name`, message: "must name an LLMInferenceServiceConfig" }] : [],
    );
    if (unnamed.length > 0) return this.#failure("CombineBaseError", unnamed);
    const bases = findConfigs(refs, this.#input);
    try {
      return this.#compose(bases);
    } catch (error) {
      if (!(error instanceof LayerError)) throw error;
      return this.#failure("CombineBaseError", [{ path: "", message: error.message }]);
    }
  }

  #compose(bases: Found): Composition {
    const shape = mergeLayers([...bases.configs.map(configLayer), this.#own].map(withoutPods));
    const referenced = referencedConfig(shape, this.#input);
    const suffixes = selectPresets(shape, schedulerNeeds(shape, referenced));
    const presets = findConfigs(
      suffixes.map((suffix) => presetName(suffix, this.#pins, this.#input.presets)),
      this.#input,
    );
    const missing = [...new Set([...presets.missing, ...bases.missing])];
    if (missing.length > 0) return this.#notFound(missing);
    if (referenced.kind === "error") return this.#failure("CombineBaseError", [referenced.error]);
    return this.#combine(presets.configs, bases.configs, referenced);
  }

  #combine(
    presets: readonly ServiceConfig[],
    bases: readonly ServiceConfig[],
    referenced: ReferencedConfig,
  ): Composition {
    const { metadata } = this.#input.service;
    const layers = [...[...presets, ...bases].map(configLayer), this.#own];
    const { baseRefs: _merged, ...merged } = mergeLayers(layers);
    const unrendered = completeBeforeRendering(merged, metadata);
    const rendering = renderSpec(unrendered, this.#data(unrendered), layers);
    const errors = [...rendering.errors, ...loraErrors(rendering.spec), ...managedDeviceErrors(metadata.annotations)];
    if (errors.length > 0) return this.#failure("CombineBaseError", errors);
    const appliedConfigs = [
      ...presets.map((config) => applied(config, "Preset")),
      ...bases.map((config) => applied(config, "UserRef")),
    ];
    const completed = withManagedDevices(
      canonicalSpec(completeRendered(rendering.spec, { metadata, referenced })),
      metadata,
    );
    const { spec, warnings } = this.#corrected(completed, [...bases.map(configLayer), this.#own]);
    return this.#checked(spec, appliedConfigs, [
      ...warnings,
      ...deprecationWarnings(spec),
      ...initializerWarnings(spec),
    ]);
  }

  #data(spec: JsonObject): ReturnType<typeof templateData> {
    const { service, systemNamespace, global } = this.#input;
    const { name, namespace } = service.metadata;
    const pool = textAt(spec, "router", "scheduler", "pool", "ref", "name") ?? childNames(namespace, name).pool;
    return templateData(service.metadata, spec, { systemNamespace, global, inferencePool: `${namespace}/${pool}` });
  }

  #corrected(spec: JsonObject, userLayers: readonly Layer[]): ProbeCorrection {
    if (this.#input.service.metadata.annotations?.[KEEP_PROBES_ANNOTATION] === "true") return { spec, warnings: [] };
    return correctProbeSchemes(spec, userLayers, this.#input.global.ingress.enableTls);
  }

  #checked(
    spec: JsonObject,
    appliedConfigs: readonly AppliedConfig[],
    warnings: readonly CompositionWarning[],
  ): Composition {
    const errors = (this.#input.validate?.(spec) ?? []).map((error: FieldError) => ({
      path: error.path,
      message: fieldErrorBody(error),
    }));
    if (errors.length === 0) return { kind: "composed", spec, appliedConfigs, statusAnnotations: this.#pins, warnings };
    const configs = appliedConfigs.map(({ source, namespace, name }) => `${source}:${namespace}/${name}`).join(", ");
    return this.#failure("InvalidRenderedConfig", errors, {
      appliedConfigs,
      warnings,
      message: `validation failed after merging configs [${configs}]: ${errors.map(sentence).join("; ")}`,
    });
  }
}

/**
 * The effective spec of a service: presets, then base refs in order, then its own spec, merged, rendered and completed. Pure:
 * everything comes from the input. A failure names every cause and leaves no spec; it never throws for what users wrote.
 */
export function compose(input: ComposeInput): Composition {
  return new Composer(input).run();
}
