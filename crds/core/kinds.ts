/**
 * The kinds of Kubernetes itself that are served without a cluster: apiVersion and kind, plural and short names, flags
 * (`cluster` scope, `status` and `scale` sub-resources), and the fields beside metadata as an outline.
 */
export const CORE_OUTLINES: readonly {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames?: readonly string[];
  readonly cluster?: true;
  readonly status?: true;
  readonly scale?: true;
  readonly categories?: readonly string[];
  readonly outline: string;
}[] = [
  {
    apiVersion: "v1",
    kind: "Namespace",
    plural: "namespaces",
    shortNames: ["ns"],
    cluster: true,
    status: true,
    outline: `
  spec: object preserve
  status: object preserve`,
  },
  {
    apiVersion: "v1",
    kind: "Node",
    plural: "nodes",
    shortNames: ["no"],
    cluster: true,
    status: true,
    outline: `
  spec: object preserve
  status: object
    conditions: []@Condition keys=type
    addresses: []object keys=type
      type!: string
      address!: string
    capacity: map[quantity]
    allocatable: map[quantity]
    nodeInfo: object preserve`,
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    plural: "pods",
    shortNames: ["po"],
    status: true,
    categories: ["all"],
    outline: `
  spec: @PodSpec  # What runs.
  status: @PodStatus  # How it runs.`,
  },
  {
    apiVersion: "v1",
    kind: "Service",
    plural: "services",
    shortNames: ["svc"],
    status: true,
    categories: ["all"],
    outline: `
  spec: object preserve  # Which pods, on which ports.
    selector: map[string] atomic  # Labels of the pods.
    ports: []object keys=port,protocol  # Ports of the Service.
      name: string
      port!: int  # Port of the Service.
      protocol=TCP: string
      targetPort: intOrString  # Port of the pods, by number or name.
      nodePort: int
      appProtocol: string
    type: string  # ClusterIP, NodePort, LoadBalancer or ExternalName.
    clusterIP: string
    clusterIPs: []string
    ipFamilies: []string
  status: object preserve`,
  },
  {
    apiVersion: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    shortNames: ["cm"],
    outline: `
  data: map[string]  # Texts by key.
  binaryData: map[string]  # Bytes by key, in base64.
  immutable: bool`,
  },
  {
    apiVersion: "v1",
    kind: "Secret",
    plural: "secrets",
    outline: `
  data: map[string]  # Bytes by key, in base64.
  stringData: map[string]  # Texts by key, moved to data when written.
  type: string
  immutable: bool`,
  },
  {
    apiVersion: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    shortNames: ["sa"],
    outline: `
  secrets: []object keys=name atomic
    name: string
    namespace: string
    kind: string
    apiVersion: string
    uid: string
  imagePullSecrets: []object
    name="": string
  automountServiceAccountToken: bool`,
  },
  {
    apiVersion: "v1",
    kind: "Endpoints",
    plural: "endpoints",
    shortNames: ["ep"],
    outline: `
  subsets: []object preserve`,
  },
  {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    shortNames: ["pvc"],
    status: true,
    outline: `
  spec: @PersistentVolumeClaimSpec
  status: object preserve`,
  },
  {
    apiVersion: "v1",
    kind: "Event",
    plural: "events",
    shortNames: ["ev"],
    outline: `
  involvedObject: @EventReference
  related: @EventReference
  reason: string
  message: string
  type: string
  action: string
  count: int
  firstTimestamp: time nullable
  lastTimestamp: time nullable
  eventTime: string nullable
  series: object preserve
  source: object
    component: string
    host: string
  reportingComponent: string
  reportingInstance: string`,
  },
  {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    plural: "events",
    shortNames: ["ev"],
    outline: `
  regarding: @EventReference
  related: @EventReference
  reason: string
  note: string
  type: string
  action: string
  eventTime: string nullable
  series: object preserve
  reportingController: string
  reportingInstance: string
  deprecatedCount: int
  deprecatedFirstTimestamp: time nullable
  deprecatedLastTimestamp: time nullable
  deprecatedSource: object preserve`,
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    plural: "deployments",
    shortNames: ["deploy"],
    status: true,
    scale: true,
    categories: ["all"],
    outline: `
  spec: object
    replicas=1: int min=0  # Number of pods.
    selector!: @LabelSelector  # Labels of its pods; cannot change.
    template!: @PodTemplate  # The pods.
    strategy: object  # How pods are replaced.
      type: string enum=Recreate|RollingUpdate
      rollingUpdate: object
        maxSurge: intOrString
        maxUnavailable: intOrString
    minReadySeconds: int
    revisionHistoryLimit: int
    progressDeadlineSeconds: int
    paused: bool
  status: object preserve
    conditions: []@Condition keys=type`,
  },
  {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    shortNames: ["rs"],
    status: true,
    scale: true,
    categories: ["all"],
    outline: `
  spec: object
    replicas=1: int min=0
    selector!: @LabelSelector
    template: @PodTemplate
    minReadySeconds: int
  status: object preserve
    conditions: []@Condition keys=type`,
  },
  {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    plural: "statefulsets",
    shortNames: ["sts"],
    status: true,
    scale: true,
    categories: ["all"],
    outline: `
  spec: object preserve
    replicas=1: int min=0
    selector!: @LabelSelector
    template!: @PodTemplate
    serviceName: string
  status: object preserve`,
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    plural: "roles",
    outline: `
  rules: []@PolicyRule nullable`,
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    plural: "clusterroles",
    cluster: true,
    outline: `
  rules: []@PolicyRule nullable
  aggregationRule: object preserve`,
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    plural: "rolebindings",
    outline: `
  subjects: []@Subject
  roleRef!: @RoleRef`,
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    cluster: true,
    outline: `
  subjects: []@Subject
  roleRef!: @RoleRef`,
  },
  {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    plural: "leases",
    outline: `
  spec: object
    holderIdentity: string
    leaseDurationSeconds: int
    acquireTime: string
    renewTime: string
    leaseTransitions: int
    strategy: string
    preferredHolder: string`,
  },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    outline: `
  addressType!: string enum=IPv4|IPv6|FQDN
  endpoints: []object preserve
    addresses!: set[string]
  ports: []object
    name: string
    port: int
    protocol: string
    appProtocol: string`,
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    plural: "mutatingwebhookconfigurations",
    cluster: true,
    outline: `
  webhooks: []object keys=name preserve
    name!: string`,
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    plural: "validatingwebhookconfigurations",
    cluster: true,
    outline: `
  webhooks: []object keys=name preserve
    name!: string`,
  },
  {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    shortNames: ["crd", "crds"],
    cluster: true,
    status: true,
    outline: `
  spec!: object preserve
  status: object preserve`,
  },
  {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    shortNames: ["hpa"],
    status: true,
    categories: ["all"],
    outline: `
  spec: object preserve
  status: object preserve`,
  },
  {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    shortNames: ["pdb"],
    status: true,
    outline: `
  spec: object preserve
  status: object preserve`,
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    shortNames: ["netpol"],
    outline: `
  spec: object preserve`,
  },
  {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaimTemplate",
    plural: "resourceclaimtemplates",
    outline: `
  spec: object preserve`,
  },
  {
    apiVersion: "resource.k8s.io/v1",
    kind: "DeviceClass",
    plural: "deviceclasses",
    cluster: true,
    outline: `
  spec: object preserve`,
  },
];

/** Types that the outlines above share. */
export const CORE_PARTS: readonly (readonly [name: string, outline: string])[] = [
  [
    "Condition",
    `
  type!: string
  status!: string
  reason: string
  message: string
  lastTransitionTime: time nullable
  lastProbeTime: time nullable
  lastUpdateTime: time nullable
  lastHeartbeatTime: time nullable
  observedGeneration: int64`,
  ],
  [
    "PodStatus",
    `
  phase: string
  conditions: []@Condition keys=type
  message: string
  reason: string
  hostIP: string
  hostIPs: []object
    ip: string
  podIP: string
  podIPs: []object keys=ip
    ip!: string
  startTime: time
  qosClass: string
  observedGeneration: int64
  initContainerStatuses: []any
  containerStatuses: []any
  ephemeralContainerStatuses: []any`,
  ],
  [
    "PodTemplate",
    `
  metadata: object
    name: string
    labels: map[string]
    annotations: map[string]
    creationTimestamp: time nullable
  spec: @PodSpec`,
  ],
  [
    "EventReference",
    `
  apiVersion: string
  kind: string
  namespace: string
  name: string
  uid: string
  resourceVersion: string
  fieldPath: string`,
  ],
  [
    "PolicyRule",
    `
  apiGroups: []string
  resources: []string
  resourceNames: []string
  nonResourceURLs: []string
  verbs!: []string`,
  ],
  [
    "Subject",
    `
  apiGroup: string
  kind!: string
  name!: string
  namespace: string`,
  ],
  [
    "RoleRef",
    `
  apiGroup!: string
  kind!: string
  name!: string`,
  ],
];
