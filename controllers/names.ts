import { childName, childParent } from "../templates/child-name.ts";

/** Names of every object the operator makes for one service. KServe's own, so that existing objects are adopted. */
export interface ChildNames {
  readonly deployment: string;
  readonly prefillDeployment: string;
  readonly leaderWorkerSet: string;
  readonly prefillLeaderWorkerSet: string;
  readonly workloadService: string;
  readonly tlsSecret: string;
  /** ServiceAccount of pods with the routing sidecar, single node; the Deployment's name too. */
  readonly workloadServiceAccount: string;
  readonly workloadRole: string;
  readonly workloadRoleBinding: string;
  /** ServiceAccount of LeaderWorkerSet pods; the LeaderWorkerSet's name too. */
  readonly groupServiceAccount: string;
  readonly prefillGroupServiceAccount: string;
  readonly groupRole: string;
  readonly groupRoleBinding: string;
  readonly scheduler: string;
  readonly schedulerServiceAccount: string;
  readonly schedulerRole: string;
  readonly schedulerRoleBinding: string;
  /** Cluster-scoped: carries the namespace. */
  readonly schedulerAuthBinding: string;
  /** Default name of the endpoint picker's Service; `endpointPickerRef.name` of the pool overrides it. */
  readonly pickerService: string;
  readonly pool: string;
  readonly route: string;
  readonly autoscaler: string;
  readonly prefillAutoscaler: string;
  readonly scaledObject: string;
  readonly prefillScaledObject: string;
  readonly resourceClaimTemplate: string;
  readonly tokenizer: string;
}

/** The names for the service `name` in `namespace` (KServe v0.20). */
export function childNames(namespace: string, name: string): ChildNames {
  const parent = childParent(name);
  const child = (suffix: string): string => childName(parent, suffix);
  return {
    deployment: child("-kserve"),
    prefillDeployment: child("-kserve-prefill"),
    leaderWorkerSet: child("-kserve-mn"),
    prefillLeaderWorkerSet: child("-kserve-mn-prefill"),
    workloadService: child("-kserve-workload-svc"),
    tlsSecret: child("-kserve-self-signed-certs"),
    workloadServiceAccount: child("-kserve"),
    workloadRole: child("-kserve-role"),
    workloadRoleBinding: child("-kserve-rb"),
    groupServiceAccount: child("-kserve-mn"),
    prefillGroupServiceAccount: child("-kserve-mn-prefill"),
    groupRole: child("-kserve-mn-role"),
    groupRoleBinding: child("-kserve-mn-rb"),
    scheduler: child("-kserve-router-scheduler"),
    schedulerServiceAccount: child("-epp-sa"),
    schedulerRole: child("-epp-role"),
    schedulerRoleBinding: child("-epp-rb"),
    schedulerAuthBinding: childName(namespace, `-${parent}-epp-auth-rb`),
    pickerService: child("-epp-service"),
    pool: child("-inference-pool"),
    route: child("-kserve-route"),
    autoscaler: child("-kserve-hpa"),
    prefillAutoscaler: child("-kserve-prefill-hpa"),
    scaledObject: child("-kserve-keda"),
    prefillScaledObject: child("-kserve-prefill-keda"),
    resourceClaimTemplate: child("-managed-dra"),
    tokenizer: child("-tokenizer"),
  };
}
