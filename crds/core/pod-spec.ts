import type { JsonSchema } from "../schema/types.ts";
import { type Definitions, readOutline } from "../outline.ts";

const indented = (outline: string, spaces: number): string => outline.replaceAll("\n", `\n${" ".repeat(spaces)}`);

const LOCAL_SECRET = `
  name="": string  # Name of the Secret, in the pod's namespace.`;

/** Fields of every kind of container. */
const CONTAINER = `
  args: []string  # Arguments of the entry point; $(NAME) stands for a variable of env.
  command: []string  # Entry point, in place of the image's.
  env: []@EnvVar keys=name  # Environment variables.
  envFrom: []@EnvFromSource  # ConfigMaps and Secrets whose keys become environment variables.
  image: string  # Image to run.
  imagePullPolicy: string  # When the image is pulled: Always, IfNotPresent or Never.
  lifecycle: object  # What runs after the start and before the end of the container.
    postStart: @LifecycleHandler  # Runs right after the start.
    preStop: @LifecycleHandler  # Runs before the container is told to end.
    stopSignal: string  # Signal that tells the container to end.
  livenessProbe: @Probe  # A container that fails it is restarted.
  name!: string  # Name of the container, unique in the pod; containers merge by it.
  ports: []@ContainerPort keys=containerPort,protocol  # Ports that the container listens on.
  readinessProbe: @Probe  # A container that fails it gets no requests.
  resizePolicy: []object  # What a change of resources means for the running container.
    resourceName!: string  # cpu or memory.
    restartPolicy!: string  # NotRequired or RestartContainer.
  resources: @ResourceRequirements  # CPU, memory and devices that the container asks for and may use.
  restartPolicy: string  # When the container is started again; Always makes an init container a sidecar.
  restartPolicyRules: []object  # Exceptions from the restart policy, by exit code.
    action!: string  # Restart.
    exitCodes: object  # Exit codes that the rule is about.
      operator!: string  # In or NotIn.
      values: set[int]  # The exit codes.
  securityContext: @SecurityContext  # Rights of the container's processes.
  startupProbe: @Probe  # The other probes wait until it has succeeded.
  stdin: bool  # Whether the container has a standard input.
  stdinOnce: bool  # Whether the input ends with the first client.
  terminationMessagePath: string  # File with the last words of the container.
  terminationMessagePolicy: string  # Where last words come from: File or FallbackToLogsOnError.
  tty: bool  # Whether the container has a terminal; needs stdin.
  volumeDevices: []@VolumeDevice keys=devicePath  # Block devices of the container.
  volumeMounts: []@VolumeMount keys=mountPath  # Where volumes appear in the container.
  workingDir: string  # Folder that the entry point starts in.`;

/** The types of core/v1 that a PodSpec is made of, in the order of their use. */
const OUTLINES: readonly (readonly [name: string, outline: string])[] = [
  [
    "LabelSelectorRequirement",
    `
  key!: string  # The label.
  operator!: string  # In, NotIn, Exists or DoesNotExist; for nodes also Gt and Lt.
  values: []string  # Values to compare with.`,
  ],
  [
    "LabelSelectorFields",
    `
  matchExpressions: []@LabelSelectorRequirement  # Conditions on labels, all of which must hold.
  matchLabels: map[string]  # Labels that must have these values.`,
  ],
  [
    "NodeSelectorTermFields",
    `
  matchExpressions: []@LabelSelectorRequirement  # Conditions on the node's labels, all of which must hold.
  matchFields: []@LabelSelectorRequirement  # Conditions on the node's fields, such as metadata.name.`,
  ],
  [
    "PodAffinityTerm",
    `
  labelSelector: @LabelSelector  # The other pods, by their labels.
  matchLabelKeys: []string  # Labels in which the other pods must equal this one.
  mismatchLabelKeys: []string  # Labels in which the other pods must differ from this one.
  namespaceSelector: @LabelSelector  # Namespaces of the other pods, by their labels.
  namespaces: []string  # Namespaces of the other pods, by name.
  topologyKey!: string  # Label of nodes; nodes with one value of it count as one place.`,
  ],
  [
    "PodAffinity",
    `
  preferredDuringSchedulingIgnoredDuringExecution: []object  # Preferences; the place with the greatest sum of weights is taken.
    podAffinityTerm!: @PodAffinityTerm  # The other pods and the place.
    weight!: int  # Weight of the preference, 1 to 100.
  requiredDuringSchedulingIgnoredDuringExecution: []@PodAffinityTerm  # Conditions without which the pod is not placed.`,
  ],
  [
    "Affinity",
    `
  nodeAffinity: object  # Which nodes the pod goes to.
    preferredDuringSchedulingIgnoredDuringExecution: []object  # Preferences; the node with the greatest sum of weights is taken.
      preference!: @NodeSelectorTerm  # The nodes.
      weight!: int  # Weight of the preference, 1 to 100.
    requiredDuringSchedulingIgnoredDuringExecution: object atomic  # Nodes without which the pod is not placed.
      nodeSelectorTerms!: []@NodeSelectorTerm  # The nodes; one of the terms is enough.
  podAffinity: @PodAffinity  # Which pods it goes near to.
  podAntiAffinity: @PodAffinity  # Which pods it keeps away from.`,
  ],
  [
    "KeyToPath",
    `
  key!: string  # Key to take.
  mode: int  # Permissions of the file.
  path!: string  # Path of the file in the volume.`,
  ],
  [
    "FieldRefFields",
    `
  apiVersion: string  # Version of the schema that fieldPath is written for; v1 when absent.
  fieldPath!: string  # Field of the pod, such as status.podIP.`,
  ],
  [
    "ResourceFieldRefFields",
    `
  containerName: string  # Container whose resources are meant; in variables the own one when absent.
  divisor: quantity  # Unit of the value; 1 when absent.
  resource!: string  # The resource, such as limits.memory.`,
  ],
  [
    "KeySelectorFields",
    `
  key!: string  # Key to take.
  name="": string  # Name of the object, in the pod's namespace.
  optional: bool  # Whether object or key may be absent.`,
  ],
  [
    "NamedSource",
    `
  name="": string  # Name of the object, in the pod's namespace.
  optional: bool  # Whether the object may be absent.`,
  ],
  ["SecretReference", LOCAL_SECRET],
  [
    "EnvVar",
    `
  name!: string  # Name of the variable.
  value: string  # Value of the variable; $(NAME) stands for an earlier one.
  valueFrom: object  # Source of the value, in place of value.
    configMapKeyRef: @KeySelector  # Key of a ConfigMap.
    fieldRef: @FieldRef  # Field of the pod.
    fileKeyRef: object atomic  # Variable in a file of a volume.
      key!: string  # Name of the variable in the file.
      optional=false: bool  # Whether file or variable may be absent.
      path!: string  # Path of the file in the volume.
      volumeName!: string  # Volume with the file.
    resourceFieldRef: @ResourceFieldRef  # Resource of a container.
    secretKeyRef: @KeySelector  # Key of a Secret.`,
  ],
  [
    "EnvFromSource",
    `
  configMapRef: @AtomicNamedSource  # ConfigMap whose keys become variables.
  prefix: string  # Text in front of every key.
  secretRef: @AtomicNamedSource  # Secret whose keys become variables.`,
  ],
  [
    "ContainerPort",
    `
  containerPort!: int  # Number of the port.
  hostIP: string  # Address of the node to bind hostPort to.
  hostPort: int  # Port of the node that leads here.
  name: string  # Name of the port, for Services and probes.
  protocol=TCP: string  # TCP, UDP or SCTP.`,
  ],
  [
    "HTTPGetAction",
    `
  host: string  # Host to ask; the pod's address when absent.
  httpHeaders: []object  # Headers of the request.
    name!: string  # Name of the header.
    value!: string  # Value of the header.
  path: string  # Path to ask for.
  port!: intOrString  # Port to ask, by number or name.
  scheme: string  # HTTP or HTTPS.`,
  ],
  [
    "Probe",
    `
  exec: object  # Runs a command in the container; exit code 0 is a success.
    command: []string  # The command, without a shell.
  failureThreshold: int  # Failures in a row that count as failed.
  grpc: object  # Asks the gRPC health service.
    port!: int  # Number of the port.
    service="": string  # Name of the service that is asked for.
  httpGet: @HTTPGetAction  # Sends an HTTP request; a status from 200 to 399 is a success.
  initialDelaySeconds: int  # Seconds after the start before the first probe.
  periodSeconds: int  # Seconds between two probes.
  successThreshold: int  # Successes in a row that count as passed.
  tcpSocket: object  # Opens a connection.
    host: string  # Host to connect to; the pod's address when absent.
    port!: intOrString  # Port to connect to, by number or name.
  terminationGracePeriodSeconds: int64  # Seconds that a container which failed has to end.
  timeoutSeconds: int  # Seconds that a probe may take.`,
  ],
  [
    "LifecycleHandler",
    `
  exec: object  # Runs a command in the container.
    command: []string  # The command, without a shell.
  httpGet: @HTTPGetAction  # Sends an HTTP request.
  sleep: object  # Waits.
    seconds!: int64  # Seconds to wait.
  tcpSocket: object  # Not supported any more.
    host: string  # Host to connect to.
    port!: intOrString  # Port to connect to.`,
  ],
  [
    "ResourceRequirements",
    `
  claims: []object keys=name  # Claims of the pod that the container uses (dynamic resource allocation).
    name!: string  # Name of the entry in resourceClaims.
    request: string  # One request of the claim; all of them when absent.
  limits: map[quantity]  # What it may use at most, by resource, such as nvidia.com/gpu.
  requests: map[quantity]  # What is set aside for it, by resource.`,
  ],
  [
    "SecurityProfile",
    `
  localhostProfile: string  # Name of a profile on the node, for type Localhost.
  type!: string  # RuntimeDefault, Unconfined or Localhost.`,
  ],
  [
    "SELinuxOptions",
    `
  level: string  # SELinux level.
  role: string  # SELinux role.
  type: string  # SELinux type.
  user: string  # SELinux user.`,
  ],
  [
    "WindowsOptions",
    `
  gmsaCredentialSpec: string  # Content of a GMSA credential spec.
  gmsaCredentialSpecName: string  # Name of a GMSA credential spec.
  hostProcess: bool  # Whether it runs as a process of the node.
  runAsUserName: string  # Windows user of the processes.`,
  ],
  [
    "SecurityContext",
    `
  allowPrivilegeEscalation: bool  # Whether a process may gain more rights than its parent.
  appArmorProfile: @SecurityProfile  # AppArmor profile.
  capabilities: object  # Linux capabilities.
    add: []string  # Capabilities beside the runtime's default ones.
    drop: []string  # Capabilities to take away; ALL for every one.
  privileged: bool  # Whether it has the rights of root on the node.
  procMount: string  # How /proc is mounted: Default or Unmasked.
  readOnlyRootFilesystem: bool  # Whether the image's file system is read-only.
  runAsGroup: int64  # Group of the processes.
  runAsNonRoot: bool  # Whether it is refused to start as root.
  runAsUser: int64  # User of the processes.
  seLinuxOptions: @SELinuxOptions  # SELinux label.
  seccompProfile: @SecurityProfile  # Seccomp profile.
  windowsOptions: @WindowsOptions  # Settings for Windows.`,
  ],
  [
    "VolumeMount",
    `
  mountPath!: string  # Path in the container.
  mountPropagation: string  # Whether mounts are passed on between node and container.
  name!: string  # Name of the volume.
  readOnly: bool  # Whether it is read-only.
  recursiveReadOnly: string  # Whether mounts below are read-only too: Disabled, IfPossible or Enabled.
  subPath: string  # Folder or file of the volume, in place of its root.
  subPathExpr: string  # As subPath, with $(NAME) for environment variables.`,
  ],
  [
    "VolumeDevice",
    `
  devicePath!: string  # Path of the device in the container.
  name!: string  # Name of the volume, a claim of block mode.`,
  ],
  ["Container", CONTAINER],
  [
    "PersistentVolumeClaimSpec",
    `
  accessModes: []string  # How nodes may mount it: ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod.
  dataSource: object atomic  # Snapshot or claim that it starts as a copy of.
    apiGroup: string  # API group of the source.
    kind!: string  # Kind of the source.
    name!: string  # Name of the source.
  dataSourceRef: object  # As dataSource, also for other kinds and namespaces.
    apiGroup: string  # API group of the source.
    kind!: string  # Kind of the source.
    name!: string  # Name of the source.
    namespace: string  # Namespace of the source.
  resources: object  # Size of the volume.
    limits: map[quantity]  # Greatest size.
    requests: map[quantity]  # Least size, as storage.
  selector: @LabelSelector  # Volumes that it may be bound to.
  storageClassName: string  # Class of the storage.
  volumeAttributesClassName: string  # Class of the volume's attributes, such as its throughput.
  volumeMode: string  # Filesystem or Block.
  volumeName: string  # The volume that it is bound to.`,
  ],
  [
    "DownwardAPIFile",
    `
  fieldRef: @FieldRef  # Field of the pod.
  mode: int  # Permissions of the file.
  path!: string  # Path of the file in the volume.
  resourceFieldRef: @ResourceFieldRef  # Resource of a container.`,
  ],
  [
    "Volume",
    `
  awsElasticBlockStore: object  # Disk of AWS (former plugin).
    fsType: string  # File system of the disk.
    partition: int  # Partition of the disk.
    readOnly: bool  # Whether it is read-only.
    volumeID!: string  # Identity of the disk.
  azureDisk: object  # Disk of Azure (former plugin).
    cachingMode: string  # None, ReadOnly or ReadWrite.
    diskName!: string  # Name of the disk.
    diskURI!: string  # URI of the disk.
    fsType=ext4: string  # File system of the disk.
    kind: string  # Shared, Dedicated or Managed.
    readOnly=false: bool  # Whether it is read-only.
  azureFile: object  # File share of Azure (former plugin).
    readOnly: bool  # Whether it is read-only.
    secretName!: string  # Secret with account and key.
    shareName!: string  # Name of the share.
  cephfs: object  # CephFS (former plugin).
    monitors!: []string  # Ceph monitors.
    path: string  # Folder to mount.
    readOnly: bool  # Whether it is read-only.
    secretFile: string  # Key ring of the user.
    secretRef: @AtomicSecretReference  # Secret of the user.
    user: string  # User of the file system.
  cinder: object  # Disk of OpenStack (former plugin).
    fsType: string  # File system of the disk.
    readOnly: bool  # Whether it is read-only.
    secretRef: @AtomicSecretReference  # Secret with the credentials.
    volumeID!: string  # Identity of the disk.
  configMap: object atomic  # Keys of a ConfigMap as files.
    defaultMode: int  # Permissions of the files.
    items: []@KeyToPath  # Keys to take; all when absent.
    name="": string  # Name of the ConfigMap.
    optional: bool  # Whether the ConfigMap may be absent.
  csi: object  # Storage of a CSI driver that lives as long as the pod.
    driver!: string  # Name of the driver.
    fsType: string  # File system of the volume.
    nodePublishSecretRef: @AtomicSecretReference  # Secret for the driver.
    readOnly: bool  # Whether it is read-only.
    volumeAttributes: map[string]  # Settings of the driver.
  downwardAPI: object  # Fields of the pod as files.
    defaultMode: int  # Permissions of the files.
    items: []@DownwardAPIFile  # The files.
  emptyDir: object  # Empty folder that lives as long as the pod.
    medium: string  # Memory for a RAM disk, which counts as memory of the containers.
    sizeLimit: quantity  # Greatest size.
  ephemeral: object  # Claim that is made for the pod and lives as long as it.
    volumeClaimTemplate: object  # The claim.
      metadata: object  # Labels and annotations of the claim.
      spec!: @PersistentVolumeClaimSpec  # Content of the claim.
  fc: object  # Fibre Channel disk.
    fsType: string  # File system of the disk.
    lun: int  # LUN of the target.
    readOnly: bool  # Whether it is read-only.
    targetWWNs: []string  # World wide names of the target.
    wwids: []string  # World wide identifiers of the volume.
  flexVolume: object  # Storage of a FlexVolume driver (former plugin).
    driver!: string  # Name of the driver.
    fsType: string  # File system of the volume.
    options: map[string]  # Settings of the driver.
    readOnly: bool  # Whether it is read-only.
    secretRef: @AtomicSecretReference  # Secret for the driver.
  flocker: object  # Flocker dataset (former plugin).
    datasetName: string  # Name of the dataset.
    datasetUUID: string  # Identity of the dataset.
  gcePersistentDisk: object  # Disk of Google Cloud (former plugin).
    fsType: string  # File system of the disk.
    partition: int  # Partition of the disk.
    pdName!: string  # Name of the disk.
    readOnly: bool  # Whether it is read-only.
  gitRepo: object  # Git checkout (former plugin).
    directory: string  # Folder of the checkout.
    repository!: string  # URL of the repository.
    revision: string  # Commit to check out.
  glusterfs: object  # Gluster volume (former plugin).
    endpoints!: string  # Endpoints of the servers.
    path!: string  # Name of the volume.
    readOnly: bool  # Whether it is read-only.
  hostPath: object  # File or folder of the node.
    path!: string  # Path on the node.
    type: string  # What must be there, such as Directory or DirectoryOrCreate.
  image: object  # Files of an OCI image.
    pullPolicy: string  # When the image is pulled: Always, IfNotPresent or Never.
    reference: string  # The image.
  iscsi: object  # iSCSI disk.
    chapAuthDiscovery: bool  # Whether discovery uses CHAP.
    chapAuthSession: bool  # Whether sessions use CHAP.
    fsType: string  # File system of the disk.
    initiatorName: string  # Name of the initiator.
    iqn!: string  # Qualified name of the target.
    iscsiInterface=default: string  # Interface to use.
    lun!: int  # LUN of the target.
    portals: []string  # Further portals of the target.
    readOnly: bool  # Whether it is read-only.
    secretRef: @AtomicSecretReference  # Secret for CHAP.
    targetPortal!: string  # Portal of the target.
  name!: string  # Name of the volume, unique in the pod; volumes merge by it.
  nfs: object  # Folder of an NFS server.
    path!: string  # Exported path.
    readOnly: bool  # Whether it is read-only.
    server!: string  # Host of the server.
  persistentVolumeClaim: object  # A claim that exists already.
    claimName!: string  # Name of the claim, in the pod's namespace.
    readOnly: bool  # Whether it is read-only.
  photonPersistentDisk: object  # Disk of Photon (former plugin).
    fsType: string  # File system of the disk.
    pdID!: string  # Identity of the disk.
  portworxVolume: object  # Portworx volume (former plugin).
    fsType: string  # File system of the volume.
    readOnly: bool  # Whether it is read-only.
    volumeID!: string  # Identity of the volume.
  projected: object  # Several sources in one folder.
    defaultMode: int  # Permissions of the files.
    sources: []object  # The sources.
      clusterTrustBundle: object  # Certificates of authorities.
        labelSelector: @LabelSelector  # Bundles, by their labels.
        name: string  # Bundle, by its name.
        optional: bool  # Whether the bundle may be absent.
        path!: string  # Path of the file in the volume.
        signerName: string  # Bundles, by their signer.
      configMap: object atomic  # Keys of a ConfigMap.
        items: []@KeyToPath  # Keys to take; all when absent.
        name="": string  # Name of the ConfigMap.
        optional: bool  # Whether the ConfigMap may be absent.
      downwardAPI: object  # Fields of the pod.
        items: []@DownwardAPIFile  # The files.
      podCertificate: object  # A key and a certificate for the pod, renewed in time.
        certificateChainPath: string  # Path of the certificate chain.
        credentialBundlePath: string  # Path of key and certificates in one file.
        keyPath: string  # Path of the key.
        keyType!: string  # Type of the key, such as ED25519.
        maxExpirationSeconds: int  # Longest time that the certificate may be valid.
        signerName!: string  # Signer of the certificate.
      secret: object atomic  # Keys of a Secret.
        items: []@KeyToPath  # Keys to take; all when absent.
        name="": string  # Name of the Secret.
        optional: bool  # Whether the Secret may be absent.
      serviceAccountToken: object  # A token of the pod's ServiceAccount.
        audience: string  # Who accepts the token.
        expirationSeconds: int64  # Seconds that the token is valid.
        path!: string  # Path of the file in the volume.
  quobyte: object  # Quobyte volume (former plugin).
    group: string  # Group of the files.
    readOnly: bool  # Whether it is read-only.
    registry!: string  # Hosts of the registry.
    tenant: string  # Tenant of the volume.
    user: string  # User of the files.
    volume!: string  # Name of the volume.
  rbd: object  # Ceph block device (former plugin).
    fsType: string  # File system of the device.
    image!: string  # Name of the image.
    keyring=/etc/ceph/keyring: string  # Key ring of the user.
    monitors!: []string  # Ceph monitors.
    pool=rbd: string  # Pool of the image.
    readOnly: bool  # Whether it is read-only.
    secretRef: @AtomicSecretReference  # Secret of the user.
    user=admin: string  # User of the cluster.
  scaleIO: object  # ScaleIO volume (former plugin).
    fsType=xfs: string  # File system of the volume.
    gateway!: string  # Host of the gateway.
    protectionDomain: string  # Protection domain.
    readOnly: bool  # Whether it is read-only.
    secretRef!: @AtomicSecretReference  # Secret with the credentials.
    sslEnabled: bool  # Whether the gateway is asked by TLS.
    storageMode=ThinProvisioned: string  # ThinProvisioned or ThickProvisioned.
    storagePool: string  # Storage pool.
    system!: string  # Name of the system.
    volumeName: string  # Name of the volume.
  secret: object  # Keys of a Secret as files.
    defaultMode: int  # Permissions of the files.
    items: []@KeyToPath  # Keys to take; all when absent.
    optional: bool  # Whether the Secret may be absent.
    secretName: string  # Name of the Secret.
  storageos: object  # StorageOS volume (former plugin).
    fsType: string  # File system of the volume.
    readOnly: bool  # Whether it is read-only.
    secretRef: @AtomicSecretReference  # Secret with the credentials.
    volumeName: string  # Name of the volume.
    volumeNamespace: string  # Namespace of the volume.
  vsphereVolume: object  # Disk of vSphere (former plugin).
    fsType: string  # File system of the disk.
    storagePolicyID: string  # Identity of the storage policy.
    storagePolicyName: string  # Name of the storage policy.
    volumePath!: string  # Path of the disk.`,
  ],
  [
    "PodSpec",
    `
  activeDeadlineSeconds: int64  # Seconds after which the pod is ended.
  affinity: @Affinity  # Which nodes and neighbours the pod prefers or needs.
  automountServiceAccountToken: bool  # Whether a token of the ServiceAccount is mounted.
  containers: []@Container keys=name  # Containers of the pod.
  dnsConfig: object  # Settings of the resolver, beside those of dnsPolicy.
    nameservers: []string  # Addresses of name servers.
    options: []object  # Options of the resolver.
      name: string  # Name of the option.
      value: string  # Value of the option.
    searches: []string  # Domains that are searched.
  dnsPolicy: string  # Where the resolver's settings come from, such as ClusterFirst.
  enableServiceLinks: bool  # Whether Services become environment variables.
  ephemeralContainers: []object keys=name  # Containers that are added to a running pod for debugging.${indented(CONTAINER, 2)}
    targetContainerName: string  # Container whose processes it sees.
  hostAliases: []object keys=ip  # Further entries of the hosts file.
    hostnames: []string  # Names of the address.
    ip!: string  # The address.
  hostIPC: bool  # Whether the pod uses the node's IPC namespace.
  hostNetwork: bool  # Whether the pod uses the node's network.
  hostPID: bool  # Whether the pod sees the node's processes.
  hostUsers: bool  # Whether the pod uses the node's user namespace.
  hostname: string  # Host name of the pod; its own name when absent.
  hostnameOverride: string  # Host name of the pod, whatever else would decide it.
  imagePullSecrets: []@AtomicSecretReference keys=name  # Secrets for pulling images.
  initContainers: []@Container keys=name  # Containers that run to their end before the others start.
  nodeName: string  # Node that the pod runs on, without the Kubernetes scheduler.
  nodeSelector: map[string] atomic  # Labels that the node must have.
  os: object  # Operating system of the containers.
    name!: string  # linux or windows.
  overhead: map[quantity]  # Resources that the pod takes beside its containers'; set by its RuntimeClass.
  preemptionPolicy: string  # Whether it displaces pods of lower priority: PreemptLowerPriority or Never.
  priority: int  # Priority as a number; set by its class.
  priorityClassName: string  # PriorityClass of the pod.
  readinessGates: []object  # Conditions that must be true for the pod to be ready.
    conditionType!: string  # Type of the condition.
  resourceClaims: []object keys=name  # Devices that the pod claims (dynamic resource allocation).
    name!: string  # Name of the claim in the pod.
    resourceClaimName: string  # A ResourceClaim that exists already.
    resourceClaimTemplateName: string  # Template of a ResourceClaim that is made for the pod.
  resources: @ResourceRequirements  # Resources of all containers together.
  restartPolicy: string  # When ended containers are started again: Always, OnFailure or Never.
  runtimeClassName: string  # RuntimeClass of the containers.
  schedulerName: string  # The Kubernetes scheduler that places the pod.
  schedulingGates: []object keys=name  # The pod is not placed while there are any.
    name!: string  # Name of the gate.
  securityContext: object  # Rights of all containers' processes.
    appArmorProfile: @SecurityProfile  # AppArmor profile.
    fsGroup: int64  # Group that the files of volumes belong to.
    fsGroupChangePolicy: string  # When files are given to fsGroup: OnRootMismatch or Always.
    runAsGroup: int64  # Group of the processes.
    runAsNonRoot: bool  # Whether containers are refused to start as root.
    runAsUser: int64  # User of the processes.
    seLinuxChangePolicy: string  # How volumes get their SELinux label: MountOption or Recursive.
    seLinuxOptions: @SELinuxOptions  # SELinux label.
    seccompProfile: @SecurityProfile  # Seccomp profile.
    supplementalGroups: []int64  # Further groups of the processes.
    supplementalGroupsPolicy: string  # Whether groups of the image count too: Merge or Strict.
    sysctls: []object  # Kernel parameters of the pod.
      name!: string  # Name of the parameter.
      value!: string  # Value of the parameter.
    windowsOptions: @WindowsOptions  # Settings for Windows.
  serviceAccount: string  # Former name of serviceAccountName.
  serviceAccountName: string  # ServiceAccount that the pod runs as.
  setHostnameAsFQDN: bool  # Whether the host name is the fully qualified one.
  shareProcessNamespace: bool  # Whether containers see each other's processes.
  subdomain: string  # Subdomain of the pod's name in DNS.
  terminationGracePeriodSeconds: int64  # Seconds between the request to end and the kill.
  tolerations: []object  # Taints of nodes that the pod accepts.
    effect: string  # Effect of the taint; all when absent.
    key: string  # Key of the taint; all when absent.
    operator: string  # Exists or Equal.
    tolerationSeconds: int64  # Seconds that a NoExecute taint is accepted for.
    value: string  # Value of the taint.
  topologySpreadConstraints: []object keys=topologyKey,whenUnsatisfiable  # How pods are spread over places.
    labelSelector: @LabelSelector  # Pods that are counted.
    matchLabelKeys: []string  # Labels in which counted pods must equal this one.
    maxSkew!: int  # Greatest difference between two places.
    minDomains: int  # Least number of places.
    nodeAffinityPolicy: string  # Whether nodeSelector and nodeAffinity limit the places: Honor or Ignore.
    nodeTaintsPolicy: string  # Whether taints limit the places: Honor or Ignore.
    topologyKey!: string  # Label of nodes; nodes with one value of it are one place.
    whenUnsatisfiable!: string  # DoNotSchedule or ScheduleAnyway.
  volumes: []@Volume keys=name  # Volumes that containers may mount.`,
  ],
];

/** Types that server-side apply takes as one value: the definition whose fields they have, by name. */
const ATOMIC: Readonly<Record<string, string>> = {
  LabelSelectorFields: "LabelSelector",
  NodeSelectorTermFields: "NodeSelectorTerm",
  FieldRefFields: "FieldRef",
  ResourceFieldRefFields: "ResourceFieldRef",
  KeySelectorFields: "KeySelector",
  NamedSource: "AtomicNamedSource",
  SecretReference: "AtomicSecretReference",
};

function readAll(): Definitions {
  const definitions: Record<string, JsonSchema> = {};
  for (const [name, outline] of OUTLINES) {
    const schema = readOutline(outline, definitions);
    definitions[name] = schema;
    const atomic = ATOMIC[name];
    if (atomic !== undefined) definitions[atomic] = { ...schema, "x-kubernetes-map-type": "atomic" };
  }
  return definitions;
}

/** Schemas of PodSpec and its parts (Kubernetes core/v1), by name. Nothing in a PodSpec is required, as in a preset. */
export const POD_DEFINITIONS: Definitions = readAll();
