import type { JsonSchema } from "../schema/types.ts";
import { type Definitions, readOutline } from "../outline.ts";

/** The types of core/v1 that a PodSpec is made of, in the order of their use. */
const OUTLINES: readonly (readonly [name: string, outline: string])[] = [
  [
    "LabelSelectorRequirement",
    `
  key!: string
  operator!: string
  values: []string`,
  ],
  [
    "LabelSelector",
    `
  matchExpressions: []@LabelSelectorRequirement
  matchLabels: map[string]`,
  ],
  [
    "NodeSelectorTerm",
    `
  matchExpressions: []@LabelSelectorRequirement
  matchFields: []@LabelSelectorRequirement`,
  ],
  [
    "PodAffinityTerm",
    `
  labelSelector: @LabelSelector
  matchLabelKeys: []string
  mismatchLabelKeys: []string
  namespaceSelector: @LabelSelector
  namespaces: []string
  topologyKey!: string`,
  ],
  [
    "PodAffinity",
    `
  preferredDuringSchedulingIgnoredDuringExecution: []object
    podAffinityTerm!: @PodAffinityTerm
    weight!: int
  requiredDuringSchedulingIgnoredDuringExecution: []@PodAffinityTerm`,
  ],
  [
    "Affinity",
    `
  nodeAffinity: object
    preferredDuringSchedulingIgnoredDuringExecution: []object
      preference!: @NodeSelectorTerm
      weight!: int
    requiredDuringSchedulingIgnoredDuringExecution: object
      nodeSelectorTerms!: []@NodeSelectorTerm
  podAffinity: @PodAffinity
  podAntiAffinity: @PodAffinity`,
  ],
  [
    "KeyToPath",
    `
  key!: string
  mode: int
  path!: string`,
  ],
  [
    "FieldRef",
    `
  apiVersion: string
  fieldPath!: string`,
  ],
  [
    "ResourceFieldRef",
    `
  containerName: string
  divisor: quantity
  resource!: string`,
  ],
  [
    "KeySelector",
    `
  key!: string
  name="": string
  optional: bool`,
  ],
  [
    "EnvVar",
    `
  name!: string
  value: string
  valueFrom: object
    configMapKeyRef: @KeySelector
    fieldRef: @FieldRef
    fileKeyRef: object
      key!: string
      optional=false: bool
      path!: string
      volumeName!: string
    resourceFieldRef: @ResourceFieldRef
    secretKeyRef: @KeySelector`,
  ],
  [
    "EnvFromSource",
    `
  configMapRef: object
    name="": string
    optional: bool
  prefix: string
  secretRef: object
    name="": string
    optional: bool`,
  ],
  [
    "ContainerPort",
    `
  containerPort!: int
  hostIP: string
  hostPort: int
  name: string
  protocol=TCP: string`,
  ],
  [
    "HTTPGetAction",
    `
  host: string
  httpHeaders: []object
    name!: string
    value!: string
  path: string
  port!: intOrString
  scheme: string`,
  ],
  [
    "Probe",
    `
  exec: object
    command: []string
  failureThreshold: int
  grpc: object
    port!: int
    service="": string
  httpGet: @HTTPGetAction
  initialDelaySeconds: int
  periodSeconds: int
  successThreshold: int
  tcpSocket: object
    host: string
    port!: intOrString
  terminationGracePeriodSeconds: int64
  timeoutSeconds: int`,
  ],
  [
    "LifecycleHandler",
    `
  exec: object
    command: []string
  httpGet: @HTTPGetAction
  sleep: object
    seconds!: int64
  tcpSocket: object
    host: string
    port!: intOrString`,
  ],
  [
    "ResourceRequirements",
    `
  claims: []object keys=name
    name!: string
    request: string
  limits: map[quantity]
  requests: map[quantity]`,
  ],
  [
    "SecurityProfile",
    `
  localhostProfile: string
  type!: string`,
  ],
  [
    "SELinuxOptions",
    `
  level: string
  role: string
  type: string
  user: string`,
  ],
  [
    "WindowsOptions",
    `
  gmsaCredentialSpec: string
  gmsaCredentialSpecName: string
  hostProcess: bool
  runAsUserName: string`,
  ],
  [
    "SecurityContext",
    `
  allowPrivilegeEscalation: bool
  appArmorProfile: @SecurityProfile
  capabilities: object
    add: []string
    drop: []string
  privileged: bool
  procMount: string
  readOnlyRootFilesystem: bool
  runAsGroup: int64
  runAsNonRoot: bool
  runAsUser: int64
  seLinuxOptions: @SELinuxOptions
  seccompProfile: @SecurityProfile
  windowsOptions: @WindowsOptions`,
  ],
  [
    "VolumeMount",
    `
  mountPath!: string
  mountPropagation: string
  name!: string
  readOnly: bool
  recursiveReadOnly: string
  subPath: string
  subPathExpr: string`,
  ],
  [
    "VolumeDevice",
    `
  devicePath!: string
  name!: string`,
  ],
  [
    "Container",
    `
  args: []string  # Arguments of the entry point.
  command: []string  # Entry point instead of the image's.
  env: []@EnvVar keys=name  # Environment variables.
  envFrom: []@EnvFromSource  # ConfigMaps and Secrets whose keys become environment variables.
  image: string  # Image to run.
  imagePullPolicy: string  # When the image is pulled.
  lifecycle: object  # What runs after the start and before the end.
    postStart: @LifecycleHandler
    preStop: @LifecycleHandler
    stopSignal: string
  livenessProbe: @Probe  # A container that fails it is restarted.
  name!: string  # Name, unique in the pod.
  ports: []@ContainerPort keys=containerPort,protocol  # Ports that the container listens on.
  readinessProbe: @Probe  # A container that fails it gets no requests.
  resizePolicy: []object
    resourceName!: string
    restartPolicy!: string
  resources: @ResourceRequirements  # CPU, memory and devices that are asked for and allowed.
  restartPolicy: string
  restartPolicyRules: []object
    action!: string
    exitCodes: object
      operator!: string
      values: set[int]
  securityContext: @SecurityContext  # Security settings.
  startupProbe: @Probe  # The other probes wait until it succeeded.
  stdin: bool
  stdinOnce: bool
  terminationMessagePath: string
  terminationMessagePolicy: string
  tty: bool
  volumeDevices: []@VolumeDevice keys=devicePath
  volumeMounts: []@VolumeMount keys=mountPath  # Where volumes are mounted.
  workingDir: string  # Working directory.`,
  ],
  [
    "PersistentVolumeClaimSpec",
    `
  accessModes: []string
  dataSource: object
    apiGroup: string
    kind!: string
    name!: string
  dataSourceRef: object
    apiGroup: string
    kind!: string
    name!: string
    namespace: string
  resources: object
    limits: map[quantity]
    requests: map[quantity]
  selector: @LabelSelector
  storageClassName: string
  volumeAttributesClassName: string
  volumeMode: string
  volumeName: string`,
  ],
  [
    "DownwardAPIFile",
    `
  fieldRef: @FieldRef
  mode: int
  path!: string
  resourceFieldRef: @ResourceFieldRef`,
  ],
  [
    "Volume",
    `
  awsElasticBlockStore: object
    fsType: string
    partition: int
    readOnly: bool
    volumeID!: string
  azureDisk: object
    cachingMode: string
    diskName!: string
    diskURI!: string
    fsType=ext4: string
    kind: string
    readOnly=false: bool
  azureFile: object
    readOnly: bool
    secretName!: string
    shareName!: string
  cephfs: object
    monitors!: []string
    path: string
    readOnly: bool
    secretFile: string
    secretRef: object
      name="": string
    user: string
  cinder: object
    fsType: string
    readOnly: bool
    secretRef: object
      name="": string
    volumeID!: string
  configMap: object
    defaultMode: int
    items: []@KeyToPath
    name="": string
    optional: bool
  csi: object
    driver!: string
    fsType: string
    nodePublishSecretRef: object
      name="": string
    readOnly: bool
    volumeAttributes: map[string]
  downwardAPI: object
    defaultMode: int
    items: []@DownwardAPIFile
  emptyDir: object
    medium: string
    sizeLimit: quantity
  ephemeral: object
    volumeClaimTemplate: object
      metadata: object
      spec!: @PersistentVolumeClaimSpec
  fc: object
    fsType: string
    lun: int
    readOnly: bool
    targetWWNs: []string
    wwids: []string
  flexVolume: object
    driver!: string
    fsType: string
    options: map[string]
    readOnly: bool
    secretRef: object
      name="": string
  flocker: object
    datasetName: string
    datasetUUID: string
  gcePersistentDisk: object
    fsType: string
    partition: int
    pdName!: string
    readOnly: bool
  gitRepo: object
    directory: string
    repository!: string
    revision: string
  glusterfs: object
    endpoints!: string
    path!: string
    readOnly: bool
  hostPath: object
    path!: string
    type: string
  image: object
    pullPolicy: string
    reference: string
  iscsi: object
    chapAuthDiscovery: bool
    chapAuthSession: bool
    fsType: string
    initiatorName: string
    iqn!: string
    iscsiInterface=default: string
    lun!: int
    portals: []string
    readOnly: bool
    secretRef: object
      name="": string
    targetPortal!: string
  name!: string
  nfs: object
    path!: string
    readOnly: bool
    server!: string
  persistentVolumeClaim: object
    claimName!: string
    readOnly: bool
  photonPersistentDisk: object
    fsType: string
    pdID!: string
  portworxVolume: object
    fsType: string
    readOnly: bool
    volumeID!: string
  projected: object
    defaultMode: int
    sources: []object
      clusterTrustBundle: object
        labelSelector: @LabelSelector
        name: string
        optional: bool
        path!: string
        signerName: string
      configMap: object
        items: []@KeyToPath
        name="": string
        optional: bool
      downwardAPI: object
        items: []@DownwardAPIFile
      podCertificate: object
        certificateChainPath: string
        credentialBundlePath: string
        keyPath: string
        keyType!: string
        maxExpirationSeconds: int
        signerName!: string
      secret: object
        items: []@KeyToPath
        name="": string
        optional: bool
      serviceAccountToken: object
        audience: string
        expirationSeconds: int64
        path!: string
  quobyte: object
    group: string
    readOnly: bool
    registry!: string
    tenant: string
    user: string
    volume!: string
  rbd: object
    fsType: string
    image!: string
    keyring=/etc/ceph/keyring: string
    monitors!: []string
    pool=rbd: string
    readOnly: bool
    secretRef: object
      name="": string
    user=admin: string
  scaleIO: object
    fsType=xfs: string
    gateway!: string
    protectionDomain: string
    readOnly: bool
    secretRef!: object
      name="": string
    sslEnabled: bool
    storageMode=ThinProvisioned: string
    storagePool: string
    system!: string
    volumeName: string
  secret: object
    defaultMode: int
    items: []@KeyToPath
    optional: bool
    secretName: string
  storageos: object
    fsType: string
    readOnly: bool
    secretRef: object
      name="": string
    volumeName: string
    volumeNamespace: string
  vsphereVolume: object
    fsType: string
    storagePolicyID: string
    storagePolicyName: string
    volumePath!: string`,
  ],
  [
    "PodSpec",
    `
  activeDeadlineSeconds: int64
  affinity: @Affinity  # Which nodes and neighbours the pod prefers.
  automountServiceAccountToken: bool
  containers: []@Container keys=name  # Containers of the pod.
  dnsConfig: object
    nameservers: []string
    options: []object
      name: string
      value: string
    searches: []string
  dnsPolicy: string
  enableServiceLinks: bool
  ephemeralContainers: []object keys=name
    args: []string
    command: []string
    env: []@EnvVar keys=name
    envFrom: []@EnvFromSource
    image: string
    imagePullPolicy: string
    lifecycle: object
      postStart: @LifecycleHandler
      preStop: @LifecycleHandler
      stopSignal: string
    livenessProbe: @Probe
    name!: string
    ports: []@ContainerPort keys=containerPort,protocol
    readinessProbe: @Probe
    resizePolicy: []object
      resourceName!: string
      restartPolicy!: string
    resources: @ResourceRequirements
    restartPolicy: string
    restartPolicyRules: []object
      action!: string
      exitCodes: object
        operator!: string
        values: set[int]
    securityContext: @SecurityContext
    startupProbe: @Probe
    stdin: bool
    stdinOnce: bool
    targetContainerName: string
    terminationMessagePath: string
    terminationMessagePolicy: string
    tty: bool
    volumeDevices: []@VolumeDevice keys=devicePath
    volumeMounts: []@VolumeMount keys=mountPath
    workingDir: string
  hostAliases: []object keys=ip
    hostnames: []string
    ip!: string
  hostIPC: bool
  hostNetwork: bool  # Whether the pod uses the node's network.
  hostPID: bool
  hostUsers: bool
  hostname: string
  hostnameOverride: string
  imagePullSecrets: []object keys=name  # Secrets for pulling images.
    name="": string
  initContainers: []@Container keys=name  # Containers that run to their end before the others start.
  nodeName: string
  nodeSelector: map[string]  # Labels that the node must have.
  os: object
    name!: string
  overhead: map[quantity]
  preemptionPolicy: string
  priority: int
  priorityClassName: string  # Priority of the pod.
  readinessGates: []object
    conditionType!: string
  resourceClaims: []object keys=name
    name!: string
    resourceClaimName: string
    resourceClaimTemplateName: string
  resources: @ResourceRequirements
  restartPolicy: string  # When ended containers are started again.
  runtimeClassName: string  # RuntimeClass of the containers.
  schedulerName: string  # The Kubernetes scheduler that places the pod.
  schedulingGates: []object keys=name
    name!: string
  securityContext: object  # Security settings of all containers.
    appArmorProfile: @SecurityProfile
    fsGroup: int64
    fsGroupChangePolicy: string
    runAsGroup: int64
    runAsNonRoot: bool
    runAsUser: int64
    seLinuxChangePolicy: string
    seLinuxOptions: @SELinuxOptions
    seccompProfile: @SecurityProfile
    supplementalGroups: []int64
    supplementalGroupsPolicy: string
    sysctls: []object
      name!: string
      value!: string
    windowsOptions: @WindowsOptions
  serviceAccount: string
  serviceAccountName: string  # ServiceAccount that the pod runs as.
  setHostnameAsFQDN: bool
  shareProcessNamespace: bool
  subdomain: string
  terminationGracePeriodSeconds: int64  # Seconds between the request to end and the kill.
  tolerations: []object  # Taints of nodes that the pod tolerates.
    effect: string
    key: string
    operator: string
    tolerationSeconds: int64
    value: string
  topologySpreadConstraints: []object keys=topologyKey,whenUnsatisfiable
    labelSelector: @LabelSelector
    matchLabelKeys: []string
    maxSkew!: int
    minDomains: int
    nodeAffinityPolicy: string
    nodeTaintsPolicy: string
    topologyKey!: string
    whenUnsatisfiable!: string
  volumes: []@Volume keys=name  # Volumes that containers may mount.`,
  ],
];

function readAll(): Definitions {
  const definitions: Record<string, JsonSchema> = {};
  for (const [name, outline] of OUTLINES) definitions[name] = readOutline(outline, definitions);
  return definitions;
}

/** Schemas of PodSpec and its parts (Kubernetes core/v1), by name. Nothing in a PodSpec is required, as in a preset. */
export const POD_DEFINITIONS: Definitions = readAll();
