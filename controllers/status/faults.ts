/** A fault of a service or of what it stands on: how its status names it and what to do about it. */
export interface Fault {
  /** One clause, without an article at its start. */
  readonly title: string;
  /** Condition reasons under which the fault shows, here or in KServe. */
  readonly reasons: readonly string[];
  /** What a platform engineer does about it: an imperative clause, lower case, without a full stop. */
  readonly remedy: string;
}

/**
 * Every fault that the status of a service tells apart. The one source of reasons and remedies: for the conditions, for
 * Events, and for tools that explain a service.
 */
export const FAULTS = {
  "resource-short": {
    title: "no node has what a pod asks for",
    reasons: ["Unschedulable"],
    remedy: "add nodes that offer it, free it, or lower the container's resources",
  },
  "node-excluded": {
    title: "no node matches the pod's selectors, affinity or tolerations",
    reasons: ["Unschedulable"],
    remedy: "correct nodeSelector, affinity or tolerations of the template, or label or untaint nodes",
  },
  "claim-pending": {
    title: "volume claim not bound",
    reasons: ["VolumeClaimPending"],
    remedy: "see the events of the PersistentVolumeClaim; give it a storage class that can provision it",
  },
  "claim-missing": {
    title: "volume claim does not exist",
    reasons: ["VolumeClaimNotFound"],
    remedy: "create the PersistentVolumeClaim in the service's namespace, or correct spec.model.uri",
  },
  "image-pull": {
    title: "image cannot be pulled",
    reasons: ["ImagePullBackOff"],
    remedy: "correct the image of the container, or give the ServiceAccount an imagePullSecret that may read it",
  },
  "secret-missing": {
    title: "Secret that a pod needs does not exist",
    reasons: ["SecretNotFound", "ReconcileSingleNodeWorkloadError", "ReconcileMultiNodeWorkloadError"],
    remedy: "create the Secret in the service's namespace, or take the reference away",
  },
  "config-map-missing": {
    title: "ConfigMap that a pod needs does not exist",
    reasons: ["ConfigMapNotFound"],
    remedy: "create the ConfigMap in the service's namespace, or take the reference away",
  },
  "mount-failed": {
    title: "volume cannot be mounted",
    reasons: ["FailedMount"],
    remedy: "see the events of the pod; check the volume's source and its driver",
  },
  "model-not-found": {
    title: "model does not exist at its source",
    reasons: ["ModelNotFound"],
    remedy: "correct spec.model.uri; for a private repository give the pods a token that may see it",
  },
  "model-denied": {
    title: "model source refuses the credentials",
    reasons: ["ModelAccessDenied"],
    remedy: "give the ServiceAccount a Secret with a token or key that may read the model, or accept its licence",
  },
  "certificate-expired": {
    title: "certificate has expired",
    reasons: ["CertificateExpired"],
    remedy: "renew the certificate, or check the clock of the node",
  },
  "init-failed": {
    title: "init container fails",
    reasons: ["StorageInitializerFailed", "InitContainerFailed"],
    remedy: "see the logs of the init container",
  },
  "container-config": {
    title: "container cannot be created from its spec",
    reasons: ["CreateContainerError"],
    remedy: "correct the container's command, mounts or security context",
  },
  "crash-loop": {
    title: "container ends again and again",
    reasons: ["CrashLoopBackOff"],
    remedy: "see the logs of the container's last run (kubectl logs --previous)",
  },
  "accelerator-missing": {
    title: "engine finds no accelerator",
    reasons: ["AcceleratorNotFound"],
    remedy: "request accelerators in the container's resources, and check the device plugin and driver of the node",
  },
  "accelerator-memory": {
    title: "model does not fit into the accelerator's memory",
    reasons: ["AcceleratorOutOfMemory"],
    remedy:
      "raise spec.parallelism.tensor, lower --max-model-len or --gpu-memory-utilization, or use larger accelerators",
  },
  "out-of-memory": {
    title: "container exceeds its memory limit",
    reasons: ["OOMKilled"],
    remedy: "raise resources.limits.memory of the container",
  },
  "port-refused": {
    title: "nothing listens on the port that a probe asks",
    reasons: ["ProbeFailing"],
    remedy: "make the container listen on that port, or correct the probe's port",
  },
  "probe-failing": {
    title: "probe of a container fails",
    reasons: ["ProbeFailing"],
    remedy: "see the logs of the container; give the probe more time if the model is still loading",
  },
  evicted: {
    title: "pod evicted by its node",
    reasons: ["Evicted"],
    remedy: "request what the pod uses (memory, ephemeral-storage), or relieve the node",
  },
  "quota-exceeded": {
    title: "quota of the namespace used up",
    reasons: ["QuotaExceeded"],
    remedy: "raise the ResourceQuota of the namespace, or ask for less",
  },
  "service-account-missing": {
    title: "ServiceAccount does not exist",
    reasons: [
      "ServiceAccountNotFound",
      "ReconcileSingleNodeWorkloadError",
      "ReconcileMultiNodeWorkloadError",
      "SchedulerReconcileError",
    ],
    remedy: "create the ServiceAccount in the service's namespace, or remove serviceAccountName from the template",
  },
  "admission-denied": {
    title: "admission webhook or policy refuses an object",
    reasons: ["AdmissionDenied"],
    remedy: "change the service so that the policy allows it, or have the policy changed",
  },
  "webhook-down": {
    title: "admission webhook does not answer",
    reasons: ["WebhookUnavailable"],
    remedy: "bring the webhook's pods back, or remove its configuration",
  },
  "object-invalid": {
    title: "API server rejects an object as invalid",
    reasons: ["InvalidObject", "InvalidHTTPRoute"],
    remedy: "correct the fields that the message names in the service or its base refs",
  },
  "operator-forbidden": {
    title: "operator lacks a right",
    reasons: ["OperatorForbidden"],
    remedy: "apply the ClusterRole of this release of the operator",
  },
  "pods-refused": {
    title: "pods cannot be created",
    reasons: ["FailedCreate"],
    remedy: "see the events of the ReplicaSet",
  },
  "gateway-api-missing": {
    title: "Gateway API not installed",
    reasons: ["GatewayAPINotInstalled"],
    remedy: "install the CRDs of the Gateway API",
  },
  "gateway-missing": {
    title: "Gateway does not exist",
    reasons: ["RefsInvalid"],
    remedy:
      "create the Gateway, name another one in spec.router.gateway.refs, or set kserveIngressGateway in inferenceservice-config",
  },
  "gateway-not-programmed": {
    title: "Gateway not programmed",
    reasons: ["GatewaysNotReady"],
    remedy: "see the Gateway's conditions, and whether the controller of its class runs",
  },
  "route-missing": {
    title: "HTTPRoute does not exist",
    reasons: ["RefsInvalid"],
    remedy: "create the HTTPRoute, or remove it from spec.router.route.http.refs",
  },
  "route-refused": {
    title: "HTTPRoute not accepted",
    reasons: ["HTTPRoutesNotReady"],
    remedy: "see the conditions of the HTTPRoute for the named Gateway",
  },
  "pool-unanswered": {
    title: "InferencePool not accepted by a gateway yet",
    reasons: ["WaitingForGateway"],
    remedy: "use a gateway whose controller supports InferencePool, and check that it runs",
  },
  "pool-refused": {
    title: "InferencePool refused by a gateway",
    reasons: ["InferencePoolNotReady"],
    remedy: "see the conditions of the InferencePool",
  },
  "pool-missing": {
    title: "InferencePool does not exist",
    reasons: ["InferencePoolFetchError", "InferencePoolNotObserved"],
    remedy: "create the InferencePool, or remove spec.router.scheduler.pool.ref",
  },
  "pool-api-missing": {
    title: "API of InferencePool not installed",
    reasons: ["InferencePoolAPINotInstalled", "SchedulerReconcileError"],
    remedy: "install the CRDs of the Gateway API Inference Extension",
  },
  "lws-missing": {
    title: "LeaderWorkerSet not installed",
    reasons: ["LeaderWorkerSetAPINotInstalled", "ReconcileMultiNodeWorkloadError"],
    remedy: "install the LeaderWorkerSet operator, or remove spec.worker",
  },
  "keda-missing": {
    title: "KEDA not installed",
    reasons: ["ScalingCRDNotFound"],
    remedy: "install KEDA, or scale by spec.scaling.wva.hpa or spec.replicas",
  },
  "metrics-missing": {
    title: "autoscaler cannot read its metric",
    reasons: ["FailedGetExternalMetric", "FailedGetObjectMetric", "FailedGetPodsMetric", "FailedGetResourceMetric"],
    remedy: "check the metrics adapter and that the metric exists under that name",
  },
  "config-missing": {
    title: "LLMInferenceServiceConfig does not exist",
    reasons: ["ConfigNotFound"],
    remedy: "create it in the service's or the operator's namespace, or remove it from spec.baseRefs",
  },
  "config-broken": {
    title: "configs cannot be combined",
    reasons: ["CombineBaseError"],
    remedy: "correct the field that the message names in the config, the service or inferenceservice-config",
  },
  "spec-invalid": {
    title: "combined spec is invalid",
    reasons: ["InvalidRenderedConfig"],
    remedy: "correct the fields that the message names; it lists the configs that were combined",
  },
  "name-too-long": {
    title: "name leads to an object name that the API does not take",
    reasons: ["InvalidObject", "InvalidRenderedConfig"],
    remedy: "give the service a shorter name",
  },
  "foreign-object": {
    title: "object of a child's name belongs to somebody else",
    reasons: [
      "ReconcileSingleNodeWorkloadError",
      "ReconcileMultiNodeWorkloadError",
      "ReconcileWorkloadServiceError",
      "SchedulerReconcileError",
      "HTTPRouteReconcileError",
    ],
    remedy: "delete it, or rename the service",
  },
  "rollout-stalled": {
    title: "rollout does not get on",
    reasons: ["ProgressDeadlineExceeded"],
    remedy: "see the pods of the Deployment",
  },
} as const satisfies Readonly<Record<string, Fault>>;

/** What to do about a reason that a gateway controller gives (Gateway API v1, Inference Extension v1). */
export const GATEWAY_REMEDIES: Readonly<Record<string, string>> = {
  NotAllowedByListeners: "let the listener's allowedRoutes take routes of the service's namespace",
  NoMatchingListenerHostname: "make a hostname of the route match that of a listener",
  NoMatchingParent: "correct sectionName or port of the parentRef",
  UnsupportedValue: "remove the field that this gateway does not support",
  BackendNotFound: "check that the backend exists; a gateway that does not know InferencePool says the same",
  InvalidKind: "use a gateway whose controller supports InferencePool as a backend",
  RefNotPermitted: "create a ReferenceGrant, or keep route and backend in one namespace",
  InvalidExtensionRef: "check that the endpoint picker's Service of the InferencePool exists",
  NotSupportedByParent: "use a gateway whose controller supports InferencePool",
  InvalidCertificateRef: "correct certificateRefs of the listener: the Secret must exist and hold a valid certificate",
  AddressNotAssigned: "see why the Gateway gets no address (load balancer, address pool)",
  NoResources: "see why the Gateway's data plane has no resources",
};

/** Key of a fault. */
export type FaultId = keyof typeof FAULTS;

/** `cause: remedy` for the message of a condition. */
export function explain(fault: FaultId, cause: string): string {
  return `${cause}: ${FAULTS[fault].remedy}`;
}
