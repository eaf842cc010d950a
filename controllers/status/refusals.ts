import type { KubeError } from "../../kube/types.ts";
import { FAULTS, type FaultId, explain } from "./faults.ts";

/** Why the API server refused an object, as far as its text tells. */
export interface Refusal {
  readonly fault: FaultId;
  readonly reason: string;
  readonly message: string;
}

/** What a message matches, the fault, and how to say it; `$1` is the first group. */
type Pattern = readonly [pattern: RegExp, fault: FaultId, text?: string];

const PATTERNS: readonly Pattern[] = [
  [/certificate has expired/i, "certificate-expired"],
  [/exceeded quota: ([^,\s]+)/, "quota-exceeded"],
  [/service ?account "?([\w./-]*\w)"? not found/i, "service-account-missing"],
  [/failed calling webhook "([^"]+)"/, "webhook-down"],
  [/admission webhook "([^"]+)" denied the request/, "admission-denied"],
  [/ValidatingAdmissionPolicy|violates PodSecurity/, "admission-denied"],
  [/must be no more than \d+ (characters|bytes)|must be no more than 63/i, "name-too-long"],
  [/cannot \w+ resource "/, "operator-forbidden"],
];

const refusal = (fault: FaultId, text: string, reason: string = FAULTS[fault].reasons[0]): Refusal => ({
  fault,
  reason,
  message: explain(fault, text),
});

/** The fault that the text of a refusal names; undefined where it names none that is known. */
export function refusalOf(text: string): Refusal | undefined {
  const found = PATTERNS.find(([pattern]) => pattern.test(text));
  return found === undefined ? undefined : refusal(found[1], text);
}

/** What a Deployment says when its pods are refused (condition `ReplicaFailure`). */
export function podsRefused(text: string): Refusal {
  return refusalOf(text) ?? refusal("pods-refused", text);
}

/**
 * Why a child of that kind could not be written, under `stepReason` where nothing more is known; undefined for failures that another try cures: conflicts, an API server out
 * of reach or out of breath.
 */
export function childRefused(kind: string, error: KubeError, stepReason: string): Refusal | undefined {
  const { code, message } = error;
  const known = refusalOf(message);
  if (known !== undefined) return known;
  if (code === 409 && /conflicts? with/.test(message)) return refusal("foreign-object", message, stepReason);
  if (code === 422 || code === 400)
    return refusal("object-invalid", message, kind === "HTTPRoute" ? "InvalidHTTPRoute" : "InvalidObject");
  if (code === 403) return refusal("admission-denied", message);
  return undefined;
}

/** Whether trying again is of no use before something changes: a slow repetition is enough. */
export function isLasting(error: KubeError): boolean {
  return [400, 403, 404, 422].includes(error.code);
}
