import { convert } from "../../crds/conversion.ts";
import { applyServiceDefaults } from "../../crds/defaults.ts";
import { GROUP, STORAGE_VERSION } from "../../crds/definitions.ts";
import { at, isObject, listAt, objectAt, sameJson, textAt } from "../../crds/json.ts";
import {
  type FieldError,
  type Json,
  type JsonObject,
  fieldErrorBody,
  fieldErrorReason,
  formatFieldErrors,
} from "../../crds/schema/types.ts";
import type { Findings } from "../../crds/validation.ts";
import { type CheckContext, checkManifest } from "./check.ts";
import { withLocalModel } from "./local-models.ts";
import { jsonPatch } from "./patch.ts";

const HUB = `${GROUP}/${STORAGE_VERSION}`;
/** Length that the API server recommends for one warning. */
const MAX_WARNING = 240;

/** What reviews depend on besides the object. */
export interface ReviewContext extends CheckContext {
  /** Whether a config of that name in the operator's namespace is one of its presets. */
  readonly isPreset: (name: string) => boolean;
  /** Whether deleting a preset is refused, rather than warned about. */
  readonly protectPresets: boolean;
  /**
   * Caches of models that a service of a namespace may use, those of the namespace first; none where the operator's
   * configuration does not ask for them.
   */
  readonly localModels: (namespace: string) => readonly Json[];
  /** Services that are built on a config, as `namespace/name`. */
  readonly usersOf: (namespace: string, name: string) => readonly string[];
}

/** A handler of one webhook path: the request of an AdmissionReview to its response, without the uid. */
export type Reviewer = (request: JsonObject, context: ReviewContext) => JsonObject;

const allow = (warnings: readonly string[] = []): JsonObject => ({
  allowed: true,
  ...(warnings.length === 0 ? {} : { warnings: warnings.map((text) => text.slice(0, MAX_WARNING)) }),
});

/**
 * Fills in the defaults of a service, whatever version it came in. What is wrong with it is told here already, before the API
 * server looks at the schema, so that an author hears everything at once.
 */
export function defaultService(request: JsonObject, context: ReviewContext): JsonObject {
  const object = objectAt(request, "object");
  if (object === undefined || isLeaving(object)) return allow();
  const before = convert(object, HUB);
  const namespace = textAt(request, "namespace") ?? textAt(object, "metadata", "namespace") ?? "";
  const after = withLocalModel(applyServiceDefaults(before), context.localModels(namespace));
  const defaulted = after === before ? object : convert(after, textAt(object, "apiVersion") ?? HUB);
  const { errors } = checkManifest(defaulted, objectAt(request, "oldObject"), context);
  if (errors.length > 0) return answer(request, { errors, warnings: [] });
  const patch = jsonPatch(object, defaulted);
  if (patch.length === 0) return allow();
  return { ...allow(), patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
}

/** Checks a service and the scheduler configuration in it. */
export function reviewService(request: JsonObject, context: ReviewContext): JsonObject {
  const object = objectAt(request, "object");
  if (object === undefined || isLeaving(object)) return allow();
  return answer(request, checkManifest(object, objectAt(request, "oldObject"), context));
}

/** An object that is being deleted must be able to lose its finalizers, whatever is in it. */
const isLeaving = (object: JsonObject): boolean => at(object, "metadata", "deletionTimestamp") !== undefined;

/** Checks a config: its fields, its templates on a sample service, and that no preset is deleted. */
export function reviewConfig(request: JsonObject, context: ReviewContext): JsonObject {
  if (request["operation"] === "DELETE") return reviewDeletion(request, context);
  const object = objectAt(request, "object");
  if (object === undefined || isLeaving(object)) return allow();
  const old = objectAt(request, "oldObject");
  const { errors, warnings } = checkManifest(object, old, context);
  return answer(request, { errors, warnings: [...warnings, ...presetWarnings(request, context)] });
}

/** A change to a preset is lost with the next release, and reaches every service at once. */
function presetWarnings(request: JsonObject, context: ReviewContext): string[] {
  const [object, old] = [objectAt(request, "object"), objectAt(request, "oldObject")];
  const name = textAt(request, "name") ?? "";
  if (object === undefined || old === undefined || !context.isPreset(name)) return [];
  if (covers(at(convert(object, HUB), "spec") ?? null, at(convert(old, HUB), "spec") ?? null)) return [];
  return [
    `${name} is a preset of the operator: rather than changing it, override it by a config in the service's namespace`,
  ];
}

/** Whether everything that was there is there, unchanged. */
function covers(next: Json, old: Json): boolean {
  if (!isObject(old)) return sameJson(next, old);
  return isObject(next) && Object.entries(old).every(([key, value]) => covers(next[key] ?? null, value));
}

function reviewDeletion(request: JsonObject, context: ReviewContext): JsonObject {
  const name = textAt(request, "name") ?? "";
  const namespace = textAt(request, "namespace") ?? "";
  if (namespace === context.systemNamespace && context.isPreset(name)) return presetDeletion(name, context);
  const users = context.usersOf(namespace, name);
  if (users.length === 0) return allow();
  return allow([`${name} stays until no service is built on it: ${users.join(", ")}`]);
}

function presetDeletion(name: string, { protectPresets }: ReviewContext): JsonObject {
  const message = `${name} is a preset of the operator and cannot be deleted: services need it; override it by a config of that name in their namespace`;
  if (!protectPresets) return allow([message]);
  return { allowed: false, status: { status: "Failure", code: 403, reason: "Forbidden", message } };
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
