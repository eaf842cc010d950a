import { createHash } from "node:crypto";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { childName } from "../../templates/child-name.ts";
import { at, objectAt } from "../../crds/json.ts";
import { objectsOf, stringMapOf } from "../json-edit.ts";
import { COMPONENTS, componentLabels, matchesLabels } from "../labels.ts";
import { type Pass, PassError, asJson, child } from "../llminferenceservice/pass.ts";
import { runsScheduler } from "../router/pool-reference.ts";
import { serviceAccountOf } from "../workload/parts.ts";
import { boundRole, inheritedSecrets } from "../workload/rbac.ts";
import { SCHEDULER_ERROR } from "./deployment.ts";

const READ = ["get", "list", "watch"];

/** What an endpoint picker may do in its namespace (KServe v0.20). */
export const PICKER_RULES = [
  { apiGroups: [""], resources: ["pods"], verbs: READ },
  {
    apiGroups: ["inference.networking.k8s.io", "inference.networking.x-k8s.io"],
    resources: ["inferencepools", "inferenceobjectives", "inferencemodels"],
    verbs: READ,
  },
  {
    apiGroups: ["inference.networking.x-k8s.io"],
    resources: ["inferencemodelrewrites", "inferencepoolimports"],
    verbs: READ,
  },
  { apiGroups: ["llm-d.ai"], resources: ["inferenceobjectives", "inferencemodelrewrites"], verbs: READ },
  { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: READ },
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    verbs: [...READ, "create", "update", "patch", "delete"],
  },
];

/** The ServiceAccount of the scheduler's pods. */
export function schedulerServiceAccount(pass: Pass): string {
  return serviceAccountOf(objectAt(pass.spec, "router", "scheduler", "template")) ?? pass.names.schedulerServiceAccount;
}

/** Annotations and Secrets of the model servers' ServiceAccount, so that the scheduler may read the same model files. */
function accountBody(pass: Pass): { annotations: Readonly<Record<string, string>>; secrets: JsonObject } {
  const workload = serviceAccountOf(objectAt(pass.spec, "template"));
  if (workload === undefined) return { annotations: {}, secrets: inheritedSecrets(pass) };
  const account = asJson(pass.cluster.find(KINDS.ServiceAccount, { namespace: pass.namespace, name: workload }));
  return {
    annotations: stringMapOf(at(account, "metadata", "annotations")),
    secrets: inheritedSecrets(pass, workload),
  };
}

function serviceAccount(pass: Pass): readonly KubeObject[] {
  const name = schedulerServiceAccount(pass);
  if (name === pass.names.schedulerServiceAccount) {
    const { annotations, secrets } = accountBody(pass);
    const labels = componentLabels(pass.name, COMPONENTS.scheduler);
    return [child(pass, KINDS.ServiceAccount, { name, labels, annotations }, secrets)];
  }
  if (pass.cluster.find(KINDS.ServiceAccount, { namespace: pass.namespace, name }) === undefined)
    throw new PassError(
      SCHEDULER_ERROR,
      `spec.router.scheduler.template.serviceAccountName: service account ${pass.namespace}/${name} does not exist: create it or remove the field`,
    );
  return [];
}

/**
 * Name of the service's ClusterRoleBinding. KServe joins namespace and name with a dash, so that two services can get the same
 * one: the second to come takes a name with a hash.
 */
export function authBindingName(pass: Pass): string {
  const name = pass.names.schedulerAuthBinding;
  const live = pass.cluster.find(KINDS.ClusterRoleBinding, { name });
  return live === undefined || isBindingOf(pass, live) ? name : hashedBindingName(pass.namespace, pass.name);
}

/** The name of a ClusterRoleBinding whose plain name another service has. */
export function hashedBindingName(namespace: string, name: string): string {
  const hash = createHash("sha256").update(`${namespace}/${name}`).digest("hex").slice(0, 10);
  return childName(namespace, `-${name}-epp-auth-rb-${hash}`);
}

/** Whether a ClusterRoleBinding was made for this service: it has its labels, and binds its namespace alone. */
export function isBindingOf(
  service: { readonly namespace: string; readonly name: string },
  binding: KubeObject,
): boolean {
  const subjects = objectsOf(asJson(binding)?.["subjects"]);
  return (
    matchesLabels(binding.metadata.labels, componentLabels(service.name, COMPONENTS.scheduler)) &&
    subjects.every((subject) => subject["namespace"] === service.namespace)
  );
}

/** Lets the scheduler check the tokens of those who read its metrics. Cluster-scoped: it has no owner and goes with the finalizer. */
function authBinding(pass: Pass): KubeObject {
  return {
    apiVersion: KINDS.ClusterRoleBinding.apiVersion,
    kind: KINDS.ClusterRoleBinding.kind,
    metadata: { name: authBindingName(pass), labels: componentLabels(pass.name, COMPONENTS.scheduler) },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:auth-delegator" },
    subjects: [{ kind: "ServiceAccount", name: schedulerServiceAccount(pass), namespace: pass.namespace }],
  };
}

/** ServiceAccount, Role, RoleBinding and ClusterRoleBinding of the scheduler. A ServiceAccount that the user names must exist. */
export function buildSchedulerRbac(pass: Pass): readonly KubeObject[] {
  if (!runsScheduler(pass)) return [];
  const { schedulerRole: role, schedulerRoleBinding: binding } = pass.names;
  const labels = componentLabels(pass.name, COMPONENTS.scheduler);
  const bound = { role, binding, serviceAccount: schedulerServiceAccount(pass), labels };
  return [...serviceAccount(pass), ...boundRole(pass, bound, PICKER_RULES), authBinding(pass)];
}
