import { integerOf, objectsOf } from "../controllers/json-edit.ts";
import { at, textAt } from "../crds/json.ts";
import type { JsonObject } from "../crds/schema/types.ts";
import type { Outcome } from "./examples.ts";

/** Rules of the route that a service has. */
export const rulesOf = (outcome: Outcome, name: string): readonly JsonObject[] =>
  objectsOf(at(outcome.child("HTTPRoute", `${name}-kserve-route`), "spec", "rules"));
/** Backends of a rule: kind, group, name, port and weight. */
export const backends = (rule: JsonObject | undefined): string[] =>
  objectsOf(rule?.["backendRefs"]).map((ref) => {
    const text = (key: string): string => String(textAt(ref, key) ?? integerOf(ref[key]));
    return `${text("kind")} ${text("group")}/${text("name")}:${text("port")} w${text("weight")}`;
  });
