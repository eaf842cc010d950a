import type { FieldError, JsonObject } from "../../crds/schema/types.ts";
import type { GlobalConfig } from "./global-config.ts";

/** Metadata of an object as composition reads it; other keys are passed through to templates. */
export interface ObjectMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An LLMInferenceService (`serving.kserve.io/v1alpha2`) as stored: after defaulting and conversion. */
export interface ComposableService {
  readonly metadata: ObjectMetadata;
  readonly spec: JsonObject;
  /** Only `annotations` is read: the pinned preset names of earlier passes. */
  readonly status?: { readonly annotations?: Readonly<Record<string, string>> };
}

/** An LLMInferenceServiceConfig (`serving.kserve.io/v1alpha2`). */
export interface ServiceConfig {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: JsonObject;
}

/** A ConfigMap as far as `router.scheduler.config.ref` reads it. */
export interface ConfigData {
  readonly data?: Readonly<Record<string, string>>;
}

/** How the operator names and pins its presets. */
export interface PresetOptions {
  /** Prefix of the current preset set, `kserve-` by default (`LLM_INFERENCE_SERVICE_CONFIG_PREFIX`). */
  readonly prefix: string;
  /** Whether a service keeps the preset names it started with (`LLM_INFERENCE_SERVICE_VERSIONED_CONFIG`). */
  readonly pinned: boolean;
}

/** Everything composition decides from. The look-ups read a cache: they answer at once and never throw. */
export interface ComposeInput {
  readonly service: ComposableService;
  /** Namespace of the operator: the second place where configs and `config-scheduler-…` ConfigMaps are looked for. */
  readonly systemNamespace: string;
  readonly presets: PresetOptions;
  readonly global: GlobalConfig;
  /** The config of that namespace and name; undefined where there is none. */
  readonly findConfig: (namespace: string, name: string) => ServiceConfig | undefined;
  /** The ConfigMap of that namespace and name; undefined where there is none. */
  readonly findConfigMap: (namespace: string, name: string) => ConfigData | undefined;
  /** Checks the merged and rendered spec (paths from `spec`); absent: unchecked. */
  readonly validate?: (spec: JsonObject) => readonly FieldError[];
}

/** One entry of `status.appliedConfigs`, in merge order (later wins). */
export interface AppliedConfig {
  readonly name: string;
  readonly namespace: string;
  readonly source: "Preset" | "UserRef";
}

/** Something the user should know although the pass goes on; becomes a Warning event with this reason. */
export interface CompositionWarning {
  readonly reason: string;
  readonly message: string;
}

/** Reasons of a False `PresetsCombined` condition (KServe v0.20). */
export type CompositionFailureReason = "ConfigNotFound" | "CombineBaseError" | "InvalidRenderedConfig";

/** One cause of a failure: where in which object, and what to do about it. */
export interface CompositionError {
  /** Field of the merged spec (`spec.template.containers[0].command[2]`) or of the service; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** A successful composition. */
export interface Composed {
  readonly kind: "composed";
  /** The effective spec: presets, then base refs, then the service's own spec, rendered and completed. */
  readonly spec: JsonObject;
  readonly appliedConfigs: readonly AppliedConfig[];
  /** Complete new value of `status.annotations`, pins included. */
  readonly statusAnnotations: Readonly<Record<string, string>>;
  readonly warnings: readonly CompositionWarning[];
}

/** A failed composition: no child may be touched. */
export interface CompositionFailure {
  readonly kind: "failed";
  readonly reason: CompositionFailureReason;
  /** Message of the `PresetsCombined` condition: names every cause. */
  readonly message: string;
  readonly errors: readonly CompositionError[];
  /** Empty unless the reason is `InvalidRenderedConfig`. */
  readonly appliedConfigs: readonly AppliedConfig[];
  readonly statusAnnotations: Readonly<Record<string, string>>;
  readonly warnings: readonly CompositionWarning[];
  /**
   * Names of configs that were looked for and not found: a change of one of them, in the service's or the operator's
   * namespace, is worth another pass.
   */
  readonly missingConfigs: readonly string[];
}

/** Outcome of `compose`. */
export type Composition = Composed | CompositionFailure;
