import type { JsonObject } from "../../crds/schema/types.ts";
import { at, objectOf } from "./objects.ts";

interface ReviewKind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const review = (group: string, plural: string, kind: string, namespaced = false): ReviewKind => ({
  group: `${group}.k8s.io`,
  version: "v1",
  plural,
  kind,
  namespaced,
});

/** Questions about identity and rights, which are answered and not stored. */
export const REVIEW_KINDS: readonly ReviewKind[] = [
  review("authorization", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
  review("authorization", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
  review("authorization", "subjectaccessreviews", "SubjectAccessReview"),
  review("authorization", "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
  review("authentication", "tokenreviews", "TokenReview"),
  review("authentication", "selfsubjectreviews", "SelfSubjectReview"),
];

const ADMIN = { username: "system:admin", groups: ["system:masters", "system:authenticated"] };
const ALL_RULES = {
  resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
  nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
  incomplete: false,
};

function statusOf(kind: string, body: JsonObject): JsonObject {
  if (kind === "SelfSubjectReview") return { userInfo: ADMIN };
  if (kind === "SelfSubjectRulesReview") return ALL_RULES;
  if (kind !== "TokenReview") return { allowed: true, reason: "every request on this machine is allowed" };
  const token = at(body, "spec", "token");
  return typeof token === "string" && token !== "" ? { authenticated: true, user: ADMIN } : { authenticated: false };
}

/** The answer to a review; undefined when the path is none. There is one user on this machine, who may do everything. */
export function answerReview(group: string, version: string, plural: string, body: JsonObject): JsonObject | undefined {
  const found = REVIEW_KINDS.find((item) => item.group === group && item.version === version && item.plural === plural);
  if (found === undefined) return undefined;
  const { group: own, kind } = found;
  return {
    ...body,
    apiVersion: `${own}/${version}`,
    kind,
    metadata: objectOf(body["metadata"]),
    status: statusOf(kind, body),
  };
}
