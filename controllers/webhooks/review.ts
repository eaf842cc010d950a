import { convert } from "../../crds/conversion.ts";
import { applyServiceDefaults } from "../../crds/defaults.ts";
import { GROUP, STORAGE_VERSION } from "../../crds/definitions.ts";
import { at, isObject, listAt, objectAt, textAt } from "../../crds/json.ts";
import {
  type FieldError,
  type Json,
  type JsonObject,
  fieldErrorBody,
  fieldErrorReason,
  formatFieldErrors,
} from "../../crds/schema/types.ts";
import { type Findings, validateConfig, validateService } from "../../crds/validation.ts";
import { validateEndpointPickerConfig } from "../../scheduler/config/validate.ts";
import { checkConfig } from "../composition/config-check.ts";
import type { GlobalConfig } from "../composition/global-config.ts";
import { jsonPatch } from "./patch.ts";

const HUB = `${GROUP}/${STORAGE_VERSION}`;
/** Length that the API server recommends for one warning. */
const MAX_WARNING = 240;

/** What reviews depend on besides the object. */
export interface ReviewContext {
  readonly systemNamespace: string;
  readonly global: () => GlobalConfig;
  /** Whether a config of that name in the operator's namespace is one of its presets. */
  readonly isPreset: (name: string) => boolean;
  /** Whether deleting a preset is refused, rather than warned about. */
  readonly protectPresets: boolean;
}

/** A handler of one webhook path: the request of an AdmissionReview to its response, without the uid. */
export type Reviewer = (request: JsonObject, context: ReviewContext) => JsonObject;

const allow = (warnings: readonly string[] = []): JsonObject => ({
  allowed: true,
  ...(warnings.length === 0 ? {} : { warnings: warnings.map((text) => text.slice(0, MAX_WARNING)) }),
});

/** Fills in the defaults of a service, whatever version it came in. */
export function defaultService(request: JsonObject): JsonObject {
  const object = objectAt(request, "object");
  if (object === undefined) return allow();
  const before = convert(object, HUB);
  const after = applyServiceDefaults(before);
  const patch = jsonPatch(object, after === before ? object : convert(after, textAt(object, "apiVersion") ?? HUB));
  if (patch.length === 0) return allow();
  return { ...allow(), patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
}

/** Checks a service and the scheduler configuration in it. */
export function reviewService(request: JsonObject): JsonObject {
  const object = objectAt(request, "object");
  if (object === undefined) return allow();
  const old = objectAt(request, "oldObject");
  const hub = convert(object, HUB);
  const own = validateService(hub, old === undefined ? undefined : convert(old, HUB));
  return answer(request, merged(own, schedulerFindings(hub)));
}

/** Checks a config: its fields, its templates on a sample service, and that no preset is deleted. */
export function reviewConfig(request: JsonObject, context: ReviewContext): JsonObject {
  if (request["operation"] === "DELETE") return reviewDeletion(request, context);
  const object = objectAt(request, "object");
  if (object === undefined || at(object, "metadata", "deletionTimestamp") !== undefined) return allow();
  const hub = convert(object, HUB);
  const errors = checkConfig(objectAt(hub, "spec") ?? {}, context.systemNamespace, context.global());
  const templates = errors.map(({ path, message }): FieldError => ({ kind: "Invalid", path, message }));
  return answer(request, merged(validateConfig(hub), { errors: templates, warnings: [] }, schedulerFindings(hub)));
}

function reviewDeletion(request: JsonObject, context: ReviewContext): JsonObject {
  const name = textAt(request, "name") ?? "";
  const preset = request["namespace"] === context.systemNamespace && context.isPreset(name);
  if (!preset) return allow();
  const message = `${name} is a preset of the operator: services need it; override it by a config of that name in their namespace`;
  if (!context.protectPresets) return allow([message]);
  return { allowed: false, status: { status: "Failure", code: 403, reason: "Forbidden", message } };
}

/** What the scheduler itself would say about the inline configuration. */
function schedulerFindings(object: JsonObject): Findings {
  const inline = at(object, "spec", "router", "scheduler", "config", "inline");
  if (!isObject(inline) || Object.keys(inline).length === 0) return { errors: [], warnings: [] };
  const path = "spec.router.scheduler.config.inline";
  const { errors, warnings } = validateEndpointPickerConfig(inline);
  return {
    errors: errors.map(
      (error): FieldError => ({
        kind: "Invalid",
        path: error.path === "" ? path : `${path}.${error.path}`,
        message: `${error.cause}; ${error.remedy}`,
        ...(error.value === undefined ? {} : { value: error.value as Json }),
      }),
    ),
    warnings,
  };
}

function merged(...findings: readonly Findings[]): Findings {
  return {
    errors: findings.flatMap(({ errors }) => errors),
    warnings: findings.flatMap(({ warnings }) => warnings),
  };
}

function answer(request: JsonObject, { errors, warnings }: Findings): JsonObject {
  if (errors.length === 0) return allow(warnings);
  const kind = textAt(request, "kind", "kind") ?? "";
  const name = textAt(request, "name") ?? textAt(request, "object", "metadata", "name") ?? "";
  return {
    ...allow(warnings),
    allowed: false,
    status: {
      status: "Failure",
      code: 422,
      reason: "Invalid",
      message: `${kind}.${GROUP} ${JSON.stringify(name)} is invalid: ${formatFieldErrors(errors)}`,
      details: { name, group: GROUP, kind, causes: errors.map(causeOf) },
    },
  };
}

const causeOf = (error: FieldError): JsonObject => ({
  reason: fieldErrorReason(error),
  message: fieldErrorBody(error),
  field: error.path,
});

/** Answers an AdmissionReview (admission.k8s.io/v1). */
export function reviewAdmission(review: JsonObject, reviewer: Reviewer, context: ReviewContext): JsonObject {
  const request = objectAt(review, "request") ?? {};
  const response = { uid: request["uid"] ?? "", ...reviewer(request, context) };
  return { apiVersion: review["apiVersion"] ?? "admission.k8s.io/v1", kind: "AdmissionReview", response };
}

/** Answers a ConversionReview (apiextensions.k8s.io/v1): all objects, or none and why. */
export function reviewConversion(review: JsonObject): JsonObject {
  const request = objectAt(review, "request") ?? {};
  const wanted = textAt(request, "desiredAPIVersion") ?? "";
  const reply = (response: JsonObject): JsonObject => ({
    apiVersion: review["apiVersion"] ?? "apiextensions.k8s.io/v1",
    kind: "ConversionReview",
    response: { uid: request["uid"] ?? "", ...response },
  });
  try {
    const objects = listAt(request, "objects").filter(isObject);
    return reply({ result: { status: "Success" }, convertedObjects: objects.map((object) => convert(object, wanted)) });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return reply({ result: { status: "Failure", message }, convertedObjects: [] });
  }
}
