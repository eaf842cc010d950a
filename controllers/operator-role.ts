import { GROUP } from "../crds/definitions.ts";
import { KINDS, type Resource, groupOf } from "../kube/resources.ts";
import { MANAGER_ROLE } from "./install.ts";
import { operatorWatches } from "./cluster/watches.ts";
import { CHILD_KINDS } from "./llminferenceservice/sweep.ts";
import { PICKER_RULES } from "./scheduler/rbac.ts";

/** A rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1). */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** ServiceAccount, ClusterRole and ClusterRoleBinding of those who may read the metrics ports of schedulers. */
export const METRICS_READER = "llmisvc-metrics-reader";

/** What a reader of metrics ports may get: the metrics, and the pages about decisions. */
export const METRICS_READER_RULES = [
  {
    nonResourceURLs: [
      "/metrics",
      "/debug",
      ...["config", "decisions", "endpoints", "plugins", "plugins/state"].map((page) => `/debug/${page}`),
    ],
    verbs: ["get"],
  },
];

const WATCH = ["list", "watch"] as const;
/** Server-side apply is a patch, which creates what is not there. */
const WRITE = ["create", "patch", "delete"] as const;

/** ClusterRole that schedulers are bound to, so that they can ask who reads their metrics. */
const AUTH_DELEGATOR = "system:auth-delegator";

/**
 * What the operator may do in the whole cluster: read what it watches, write the children of services, and hand schedulers
 * the rights that their Roles hold, which it must have itself (RBAC's escalation check).
 */
export function operatorRules(): readonly PolicyRule[] {
  return merged([
    ...operatorWatches("").map(({ resource, keeps }) => rule(resource, keeps === "names" ? ["get", ...WATCH] : WATCH)),
    ...[...CHILD_KINDS, KINDS.ClusterRoleBinding].map((resource) => rule(resource, WRITE)),
    rule(KINDS.Event, ["list", "create", "patch"]),
    { apiGroups: [GROUP], resources: ["llminferenceservices"], verbs: ["patch"] },
    { apiGroups: [GROUP], resources: ["llminferenceservices/status"], verbs: ["update"] },
    { apiGroups: [GROUP], resources: ["llminferenceservices/finalizers"], verbs: ["update"] },
    { apiGroups: [GROUP], resources: ["llminferenceserviceconfigs"], verbs: ["get", "create", "patch"] },
    { apiGroups: [GROUP], resources: ["llminferenceserviceconfigs/status"], verbs: ["update"] },
    rule(KINDS.CustomResourceDefinition, WATCH),
    rule(KINDS.MutatingWebhookConfiguration, ["get", "create", "patch"]),
    rule(KINDS.ValidatingWebhookConfiguration, ["get", "create", "patch"]),
    { ...rule(KINDS.CustomResourceDefinition, ["get", "patch"]), resourceNames: OUR_DEFINITIONS },
    { ...rule(KINDS.ClusterRole, ["get"]), resourceNames: [MANAGER_ROLE] },
    {
      apiGroups: ["rbac.authorization.k8s.io"],
      resources: ["clusterroles"],
      verbs: ["bind"],
      resourceNames: [AUTH_DELEGATOR],
    },
    ...PICKER_RULES,
  ]);
}

/** What the operator may do in its own namespace besides. */
export function operatorNamespaceRules(): readonly PolicyRule[] {
  return [rule(KINDS.Lease, ["get", "create", "update"]), rule(KINDS.Secret, ["get", "create", "update"])];
}

const OUR_DEFINITIONS = [KINDS.LLMInferenceService, KINDS.LLMInferenceServiceConfig].map(
  ({ plural }) => `${plural}.${GROUP}`,
);

const rule = ({ apiVersion, plural }: Resource, verbs: readonly string[]): PolicyRule => ({
  apiGroups: [groupOf(apiVersion)],
  resources: [plural],
  verbs,
});

/** One rule for each resource, with all its verbs; rules for named objects stay apart. */
function merged(rules: readonly PolicyRule[]): readonly PolicyRule[] {
  const verbs = new Map<string, Set<string>>();
  for (const { apiGroups, resources, verbs: more, resourceNames } of rules)
    for (const group of resourceNames === undefined ? apiGroups : [])
      for (const resource of resources) {
        const key = `${group}/${resource}`;
        verbs.set(key, new Set([...(verbs.get(key) ?? []), ...more]));
      }
  const general = [...verbs].map(([key, all]): PolicyRule => {
    const [group = "", ...resource] = key.split("/");
    return { apiGroups: [group], resources: [resource.join("/")], verbs: [...all].sort() };
  });
  return [...general, ...rules.filter(({ resourceNames }) => resourceNames !== undefined)];
}
