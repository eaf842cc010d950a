import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, objectAt } from "../../crds/json.ts";
import { compact, integerOf } from "../json-edit.ts";
import { type StringMap, baseLabels, componentLabels, servingLabels } from "../labels.ts";
import { type Pass, PassError, child, ownedChild } from "../llminferenceservice/pass.ts";
import { inheritedAnnotations, inheritedLabels } from "./metadata.ts";
import { type WorkloadPart, hasRoutingSidecar, isMultiNode, serviceAccountOf, workloadPart } from "./parts.ts";
import { completedPod } from "./pod-template.ts";
import { appliedReplicas } from "./replicas.ts";
import { SIDECAR_RULES, boundRole, inheritedSecrets } from "./rbac.ts";

/** Reason of the condition when a LeaderWorkerSet cannot be built. */
export const MULTI_NODE_ERROR = "ReconcileMultiNodeWorkloadError";

function isDataParallel(parallelism: Json | undefined): boolean {
  return (integerOf(at(parallelism, "data")) ?? 0) > 0 || (integerOf(at(parallelism, "dataLocal")) ?? 0) > 0;
}

/** Pods of one group: data ranks over ranks per pod, else pipeline stages; undefined leaves the API's default of 1. */
export function groupSize(parallelism: Json | undefined): number | undefined {
  if (isDataParallel(parallelism)) {
    const data = Math.max(integerOf(at(parallelism, "data")) ?? 1, 1);
    const local = Math.max(integerOf(at(parallelism, "dataLocal")) ?? 1, 1);
    return Math.max(Math.floor(data / local), 1);
  }
  const pipeline = integerOf(at(parallelism, "pipeline")) ?? 0;
  return pipeline > 0 ? pipeline : undefined;
}

/** The ServiceAccount that the user chose for leader and workers. */
function foreignAccount(part: WorkloadPart): string | undefined {
  return serviceAccountOf(objectAt(part.spec, "template")) ?? serviceAccountOf(objectAt(part.spec, "worker"));
}

const generatedAccount = (pass: Pass, part: WorkloadPart): string =>
  part.part === "main" ? pass.names.groupServiceAccount : pass.names.prefillGroupServiceAccount;

function podTemplate(
  pass: Pass,
  part: WorkloadPart,
  pod: { readonly spec: JsonObject; readonly live: JsonObject | undefined; readonly labels: StringMap },
): JsonObject {
  const account = foreignAccount(part) ?? generatedAccount(pass, part);
  const completed = completedPod(pass, part, pod.spec, {
    reason: MULTI_NODE_ERROR,
    serviceAccount: account,
    generatedAccount: foreignAccount(part) === undefined,
    livePod: pod.live,
    namesPool: part.part === "main",
  });
  const annotations = { ...inheritedAnnotations(pass, true), ...part.podAnnotations };
  return {
    metadata: compact({
      labels: { ...part.podLabels, ...pod.labels },
      annotations: Object.keys(annotations).length > 0 ? annotations : undefined,
    }),
    spec: completed,
  };
}

function rolloutStrategy(part: WorkloadPart): JsonObject {
  const rollout = objectAt(part.spec, "rolloutStrategy");
  const { maxUnavailable, maxSurge } = rollout ?? {};
  if (maxUnavailable === undefined && maxSurge === undefined) return { type: "RollingUpdate" };
  const rollingUpdateConfiguration = { maxUnavailable: maxUnavailable ?? 1, maxSurge: maxSurge ?? 0 };
  return { type: "RollingUpdate", rollingUpdateConfiguration };
}

/** Without a leader template the workers take requests themselves. */
function workerLabels(pass: Pass, part: WorkloadPart): StringMap {
  return objectAt(part.spec, "template") === undefined
    ? servingLabels(pass.name, part.components.worker, part.role)
    : componentLabels(pass.name, part.components.worker);
}

function groupTemplate(pass: Pass, part: WorkloadPart): JsonObject {
  const live = objectAt(ownedChild(pass, KINDS.LeaderWorkerSet, part.leaderWorkerSet), "spec", "leaderWorkerTemplate");
  const [leader, worker] = [objectAt(part.spec, "template"), objectAt(part.spec, "worker") ?? {}];
  const livePod = (template: string): JsonObject | undefined => objectAt(live, template, "spec");
  const size = groupSize(at(part.spec, "parallelism"));
  const subGroups = part.part === "prefill" && size !== undefined && isDataParallel(at(part.spec, "parallelism"));
  const leaderLabels = servingLabels(pass.name, part.components.leader, part.role);
  return compact({
    size,
    restartPolicy: "RecreateGroupOnPodRestart",
    subGroupPolicy: subGroups ? { subGroupSize: size } : undefined,
    leaderTemplate:
      leader && podTemplate(pass, part, { spec: leader, live: livePod("leaderTemplate"), labels: leaderLabels }),
    workerTemplate: podTemplate(pass, part, {
      spec: worker,
      live: livePod("workerTemplate"),
      labels: workerLabels(pass, part),
    }),
  });
}

function leaderWorkerSet(pass: Pass, part: WorkloadPart): KubeObject {
  if (!pass.cluster.serves(KINDS.LeaderWorkerSet))
    throw new PassError(
      "LeaderWorkerSetAPINotInstalled",
      "spec.worker: the cluster serves no LeaderWorkerSet (leaderworkerset.x-k8s.io/v1): install the LeaderWorkerSet operator",
    );
  const metadata = {
    name: part.leaderWorkerSet,
    labels: { ...inheritedLabels(pass), ...workerLabels(pass, part) },
    annotations: inheritedAnnotations(pass, true),
  };
  return child(pass, KINDS.LeaderWorkerSet, metadata, {
    spec: compact({
      replicas: appliedReplicas(part.spec, ownedChild(pass, KINDS.LeaderWorkerSet, part.leaderWorkerSet)),
      startupPolicy: "LeaderCreated",
      rolloutStrategy: rolloutStrategy(part),
      leaderWorkerTemplate: groupTemplate(pass, part),
    }),
  });
}

function groupRbac(pass: Pass, part: WorkloadPart): readonly KubeObject[] {
  const foreign = foreignAccount(part);
  const name = generatedAccount(pass, part);
  const labels = baseLabels(pass.name);
  const account =
    foreign === undefined ? [child(pass, KINDS.ServiceAccount, { name, labels }, inheritedSecrets(pass))] : [];
  const sidecar = [objectAt(part.spec, "template"), objectAt(part.spec, "worker")].some(hasRoutingSidecar);
  if (part.part === "prefill" || !sidecar) return account;
  const { groupRole: role, groupRoleBinding: binding } = pass.names;
  return [...account, ...boundRole(pass, { role, binding, serviceAccount: foreign ?? name, labels }, SIDECAR_RULES)];
}

/** The LeaderWorkerSets of the parts that run as groups of pods, with their ServiceAccounts and roles. */
export function buildLeaderWorkerSets(pass: Pass): readonly KubeObject[] {
  return (["main", "prefill"] as const).flatMap((name) => {
    const part = workloadPart(pass, name);
    return part === undefined || !isMultiNode(part) ? [] : [...groupRbac(pass, part), leaderWorkerSet(pass, part)];
  });
}
