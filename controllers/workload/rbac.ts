import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { objectAt } from "../../crds/json.ts";
import { compact, objectsOf } from "../json-edit.ts";
import { COMPONENTS, type StringMap, componentLabels } from "../labels.ts";
import { type Pass, asJson, child } from "../llminferenceservice/pass.ts";
import { generatedServiceAccount } from "./deployment.ts";
import { hasRoutingSidecar, isMultiNode, serviceAccountOf, workloadPart } from "./parts.ts";

const READ = ["get", "list", "watch"];

/** What the routing sidecar may read. */
export const SIDECAR_RULES: readonly JsonObject[] = [
  { apiGroups: [""], resources: ["pods"], verbs: READ },
  {
    apiGroups: ["inference.networking.x-k8s.io", "inference.networking.k8s.io"],
    resources: ["inferencepools"],
    verbs: READ,
  },
];

/** The Secrets for image pulls and downloads of the namespace's `default` ServiceAccount. */
export function inheritedSecrets(pass: Pass, from = "default"): JsonObject {
  const account = asJson(pass.cluster.find(KINDS.ServiceAccount, { namespace: pass.namespace, name: from }));
  const list = (field: string): JsonObject[] | undefined => {
    const entries = [...objectsOf(account?.[field])];
    return entries.length === 0 ? undefined : entries;
  };
  return compact({ secrets: list("secrets"), imagePullSecrets: list("imagePullSecrets") });
}

/** A Role with its binding to one ServiceAccount of the namespace. */
export function boundRole(
  pass: Pass,
  names: {
    readonly role: string;
    readonly binding: string;
    readonly serviceAccount: string;
    readonly labels: StringMap;
  },
  rules: readonly JsonObject[],
): readonly KubeObject[] {
  const { labels } = names;
  return [
    child(pass, KINDS.Role, { name: names.role, labels }, { rules: [...rules] }),
    child(
      pass,
      KINDS.RoleBinding,
      { name: names.binding, labels },
      {
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: names.role },
        subjects: [{ kind: "ServiceAccount", name: names.serviceAccount, namespace: pass.namespace }],
      },
    ),
  ];
}

/** ServiceAccount, Role and RoleBinding of single-node pods with the routing sidecar; a ServiceAccount the user names is only bound. */
export function buildWorkloadRbac(pass: Pass): readonly KubeObject[] {
  const part = workloadPart(pass, "main");
  const template = objectAt(part?.spec, "template");
  if (part === undefined || isMultiNode(part) || !hasRoutingSidecar(template)) return [];
  const labels = componentLabels(pass.name, COMPONENTS.workload);
  const generated = generatedServiceAccount(pass, template);
  const serviceAccount = generated ?? serviceAccountOf(template) ?? pass.names.workloadServiceAccount;
  const { workloadRole: role, workloadRoleBinding: binding } = pass.names;
  const account =
    generated === undefined
      ? []
      : [child(pass, KINDS.ServiceAccount, { name: generated, labels }, inheritedSecrets(pass))];
  return [...account, ...boundRole(pass, { role, binding, serviceAccount, labels }, SIDECAR_RULES)];
}
