import {
  type FieldError,
  type JsonObject,
  fieldErrorBody,
  fieldErrorReason,
  formatFieldErrors,
} from "../../crds/schema/types.ts";

/** What an error is about: the resource (`deployments`) or the kind, its group and the object's name. */
export interface Subject {
  readonly group: string;
  /** Plural resource, or for `invalid` the kind. */
  readonly kind: string;
  readonly name?: string | undefined;
}

/** A request that is refused: the parts of a Kubernetes Status object. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: JsonObject | undefined;

  constructor(code: number, reason: string, message: string, details?: JsonObject) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The Status object (meta/v1) that the client gets. */
  status(): JsonObject {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(this.reason === "" ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }
}

function detailsOf(subject: Subject): JsonObject {
  return {
    ...(subject.name === undefined || subject.name === "" ? {} : { name: subject.name }),
    ...(subject.group === "" ? {} : { group: subject.group }),
    ...(subject.kind === "" ? {} : { kind: subject.kind }),
  };
}

/** `deployments.apps "x"`. */
function subjectText(subject: Subject): string {
  const resource = subject.group === "" ? subject.kind : `${subject.kind}.${subject.group}`;
  return subject.name === undefined ? resource : `${resource} ${JSON.stringify(subject.name)}`;
}

/** 404: there is no such object. */
export function notFound(subject: Subject): ApiError {
  return new ApiError(404, "NotFound", `${subjectText(subject)} not found`, detailsOf(subject));
}

/** 404: nothing is served under the path. */
export function noSuchPath(): ApiError {
  return new ApiError(404, "NotFound", "the server could not find the requested resource", {});
}

/** An error that is told as a plain text, as what no part of the API server knows. */
export class TextError extends ApiError {}

/** 404: no part of the API server serves the group. */
export function noSuchPage(): TextError {
  return new TextError(404, "NotFound", "404 page not found\n");
}

/** 409: the name is taken. */
export function alreadyExists(subject: Subject): ApiError {
  return new ApiError(409, "AlreadyExists", `${subjectText(subject)} already exists`, detailsOf(subject));
}

/** 409: a precondition on the current state does not hold. */
export function conflict(subject: Subject, message: string): ApiError {
  return new ApiError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${subjectText(subject)}: ${message}`,
    detailsOf(subject),
  );
}

/** 409 of an optimistic write that came too late. */
export function outdated(subject: Subject): ApiError {
  return conflict(
    subject,
    "the object has been modified; please apply your changes to the latest version and try again",
  );
}

/** 422: fields are wrong; `subject.kind` is the kind's name. All errors appear in message and causes. */
export function invalid(subject: Subject, errors: readonly FieldError[]): ApiError {
  const causes = errors.map((error) => ({
    reason: fieldErrorReason(error),
    message: fieldErrorBody(error),
    field: error.path === "" ? "<nil>" : error.path,
  }));
  const message = `${subjectText(subject)} is invalid: ${formatFieldErrors(errors)}`;
  return new ApiError(422, "Invalid", message, { ...detailsOf(subject), causes });
}

export const badRequest = (message: string): ApiError => new ApiError(400, "BadRequest", message);
export const forbidden = (subject: Subject, message: string): ApiError =>
  new ApiError(403, "Forbidden", `${subjectText(subject)} is forbidden: ${message}`, detailsOf(subject));
export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
export const internalError = (message: string): ApiError =>
  new ApiError(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });
/** 415 of a patch; the two servers behind an API server say it in different words. */
export function unsupportedPatchType(isCustom: boolean): ApiError {
  if (!isCustom) return new ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
  const types = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
  return unsupportedMediaType(`accepted media types include: ${types}`);
}
export const unsupportedMediaType = (message: string): ApiError =>
  new ApiError(415, "UnsupportedMediaType", `the body of the request was in an unknown format - ${message}`);
export const tooLarge = (limitBytes: number): ApiError =>
  new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${limitBytes}`);

/** 410: a resourceVersion or continue token that the history does not reach back to. */
export function expired(version: number, oldest: number): ApiError {
  return new ApiError(410, "Expired", `too old resource version: ${version} (${oldest})`);
}

/** The Status of a success, as deletes answer it. */
export function successStatus(subject: Subject, uid: string): JsonObject {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details: { ...detailsOf(subject), uid } };
}
