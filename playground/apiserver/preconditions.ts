import type { JsonObject } from "../../crds/schema/types.ts";
import type { DeleteMode } from "./deletion.ts";
import { conflict, invalid, outdated } from "./errors.ts";
import { metaOf, textOf } from "./objects.ts";
import { type Target, subjectOf } from "./target.ts";

/** Kinds of Kubernetes itself that are replaced only with their version. */
const CONDITIONAL: ReadonlySet<string> = new Set([
  "coordination.k8s.io/leases",
  "policy/poddisruptionbudgets",
  "apiextensions.k8s.io/customresourcedefinitions",
  "admissionregistration.k8s.io/mutatingwebhookconfigurations",
  "admissionregistration.k8s.io/validatingwebhookconfigurations",
]);

/** Some kinds are replaced only by a writer who says which version it has seen. Errors: 422. */
export function refuseUnconditional({ kind, name, subresource }: Target, body: JsonObject): void {
  const isConditional = kind.conversion !== undefined || CONDITIONAL.has(kind.storage);
  if (!isConditional || subresource === "scale" || textOf(metaOf(body)["resourceVersion"]) !== "") return;
  const message = "must be specified for an update";
  const error = { path: "metadata.resourceVersion", kind: "Invalid" as const, value: 0, message };
  throw invalid({ group: kind.group, kind: kind.plural, name }, [error]);
}

/** Refuses an update of another version or another object than the current one. Errors: 409. */
export function refuseOutdated(target: Target, current: JsonObject, next: JsonObject): void {
  const expected = textOf(metaOf(next)["resourceVersion"]);
  if (expected !== "" && expected !== metaOf(current)["resourceVersion"]) throw outdated(subjectOf(target));
  const uid = textOf(metaOf(next)["uid"]);
  if (uid !== "" && uid !== metaOf(current)["uid"]) throw unmet(target, "UID", uid, metaOf(current)["uid"]);
}

/** Refuses the deletion of another object than the one that is meant. Errors: 409. */
export function refuseOtherThanMeant(target: Target, stored: JsonObject, mode: DeleteMode): void {
  const meta = metaOf(stored);
  for (const [field, name] of [
    ["uid", "UID"],
    ["resourceVersion", "ResourceVersion"],
  ] as const) {
    const wanted = mode[field];
    if (wanted !== undefined && wanted !== meta[field]) throw unmet(target, name, wanted, meta[field]);
  }
}

function unmet(target: Target, name: string, wanted: string, actual: unknown) {
  const is = textOf(typeof actual === "string" ? actual : "");
  return conflict(
    subjectOf(target),
    `Precondition failed: ${name} in precondition: ${wanted}, ${name} in object meta: ${is}`,
  );
}
