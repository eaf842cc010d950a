import type { JsonSchema } from "./schema/types.ts";
import { POD_DEFINITIONS } from "./core/pod-spec.ts";
import { GATEWAY_DEFINITIONS } from "./foreign/shared.ts";
import { type Definitions, readOutline } from "./outline.ts";
import { withoutKeywords } from "./schema/keywords.ts";

/** Parts of the API that are used in several places. */
const PARTS: readonly (readonly [name: string, outline: string])[] = [
  [
    "ScalingRules",
    `
  policies: []object
    periodSeconds!: int
    type!: string
    value!: int
  selectPolicy: string
  stabilizationWindowSeconds: int
  tolerance: quantity`,
  ],
  [
    "KedaAdvanced",
    `
  horizontalPodAutoscalerConfig: object
    behavior: object
      scaleDown: @ScalingRules
      scaleUp: @ScalingRules
    name: string
  restoreToOriginalReplicaCount: bool
  scalingModifiers: object
    activationTarget: string
    formula: string
    metricType: string enum=AverageValue|Value
    target: string`,
  ],
  [
    "KedaFallback",
    `
  behavior: string enum=static|currentReplicas|currentReplicasIfHigher|currentReplicasIfLower
  failureThreshold!: int
  replicas!: int`,
  ],
  [
    "Scaling",
    `
  keda: object  # A KEDA ScaledObject with its own triggers.
    advanced: @KedaAdvanced
    cooldownPeriod: int min=0
    fallback: @KedaFallback
    idleReplicaCount: int min=0
    initialCooldownPeriod: int min=0
    pollingInterval: int min=1
    triggers!: []object
      authenticationRef: object
        kind: string
        name!: string
      metadata!: map[string]
      metricType: string
      name: string
      type!: string
      useCachedMetrics: bool
  maxReplicas!: int min=1  # Greatest number of instances.
  minReplicas: int min=1  # Least number of instances; 1 when absent.
  wva: object  # Scaling by the workload variant autoscaler.
    hpa: object
      behavior: object
        scaleDown: @ScalingRules
        scaleUp: @ScalingRules
    keda: object
      advanced: @KedaAdvanced
      cooldownPeriod: int min=0
      fallback: @KedaFallback
      idleReplicaCount: int min=0
      initialCooldownPeriod: int min=0
      pollingInterval: int min=1
    variantCost: string  # Cost of one instance, a decimal number; 10.0 when absent.`,
  ],
  [
    "Parallelism",
    `
  data: int min=1  # Copies of the model that answer as one.
  dataLocal: int min=1  # Of those, the copies on one node.
  dataRPCPort: int min=1 max=65535  # Port on which the copies talk to each other.
  expert: bool  # Whether experts are spread over the accelerators.
  pipeline: int min=1  # Nodes that each hold a part of the layers.
  tensor: int min=1  # Accelerators that share each layer.`,
  ],
  [
    "KVCacheOffloading",
    `
  cpu!: quantity  # Host memory for the blocks of one instance.
  evictionPolicy: string enum=lru|arc  # Which blocks leave host memory first; lru when absent.
  secondary: []object  # Slower places behind host memory.
    fileSystem: object
      emptyDir: object
        size!: quantity
      pvc: object
        ref: object
          name!: string
          path: string
        spec: @PersistentVolumeClaimSpec`,
  ],
  [
    "RolloutStrategy",
    `
  maxSurge: intOrString  # Instances beyond replicas while rolling out.
  maxUnavailable: intOrString  # Instances that may be missing while rolling out.`,
  ],
  [
    "ObjectReference",
    `
  group!: string
  kind!: string
  name!: string
  namespace: string`,
  ],
  [
    "WorkloadReference",
    `
  apiGroup: string
  kind!: string
  name!: string
  readyReplicas: int`,
  ],
];

const SPEC = `
  annotations: map[string]  # Annotations of the model server's pods.
  baseRefs: []object  # LLMInferenceServiceConfigs to build on, in order; later ones win over earlier ones, the service over all.
    name="": string  # Name of the config, looked up in the service's namespace, then in the operator's.
  kvCacheOffloading: @KVCacheOffloading  # Where KV-cache blocks go that no longer fit into the accelerator.
  labels: map[string]  # Labels of the model server's pods.
  model: object  # What is served.
    confidential: object  # Encrypted artefacts.
      enabled!: bool  # Whether the artefacts are encrypted.
      resourceId: string  # Key of the artefacts at the key broker, kbs:///repository/type/tag.
    lora: object  # LoRA adapters served beside the base model.
      adapters: any  # Adapters, each with uri and name.
      maxAdapters: int min=1  # Adapters that may run at once (--max-loras).
      maxCpuAdapters: int min=1  # Adapters kept in host memory (--max-cpu-loras).
      maxRank: int min=1  # Largest rank of an adapter (--max-lora-rank).
    name: string  # Value of model in requests; the name of the service when absent.
    uri!: string  # Where the model lies: hf://, s3://, pvc:// or oci://.
  parallelism: @Parallelism  # How one model instance is spread over accelerators and nodes.
  prefill: object  # A workload for the prefill phase; its presence makes the main workload serve the decode phase only.
    annotations: map[string]
    kvCacheOffloading: @KVCacheOffloading
    labels: map[string]
    parallelism: @Parallelism
    replicas: int min=0  # Number of prefill instances.
    rolloutStrategy: @RolloutStrategy
    scaling: @Scaling
    template: @PodSpec  # Pods of the prefill workload.
    worker: @PodSpec  # Worker pods of a multi-node prefill workload.
  replicas: int min=0  # Number of model server instances.
  rolloutStrategy: @RolloutStrategy  # How instances are replaced when the template changes.
  router: object  # How requests reach the model servers; absent: by their Service only.
    gateway: object  # The Gateways of the route; {} means the operator's default Gateway.
      refs: []object  # Gateways by name.
        name: string
        namespace: string
        sectionName: string
    ingress: object  # Not supported; use gateway and route.
      refs: []object
        name: string
        namespace: string
    route: object  # The HTTPRoute; {} lets the operator make and own one.
      group: string max=63 pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$  # Services of the same group share one route, by weight.
      http: object  # An HTTPRoute of your own, or its content.
        refs: []object  # HTTPRoutes that exist already.
          name="": string
        spec: @HTTPRouteSpec  # Content of the HTTPRoute that the operator owns.
      weight: int min=0 max=1000000  # Share of the group's requests.
    scheduler: object  # The endpoint picker that chooses the pod for every request; {} means the defaults.
      annotations: map[string]  # Annotations of the scheduler's pods.
      config: object  # EndpointPickerConfig of the scheduler.
        inline: any  # The EndpointPickerConfig itself, as an object or as YAML text.
        ref: object  # Key of a ConfigMap that holds it.
          key: string  # Key of the ConfigMap; epp when absent.
          name="": string
          optional: bool
      labels: map[string]  # Labels of the scheduler's pods.
      pickerPlugin: object  # Picker of the default profile.
        name!: string min=1 max=253  # Type of the picker, such as max-score-picker.
        parameters: object preserve  # Its parameters.
      pool: object  # The InferencePool.
        ref: object  # A pool, and a scheduler, that exist already.
          name="": string
        spec: @InferencePoolSpec  # Content of the InferencePool that the operator owns.
      replicas: int  # Number of scheduler pods.
      scorerPlugins: []object keys=name max=32  # Scorers of the default profile, in place of the default ones.
        name!: string min=1 max=253  # Type of the scorer, such as queue-scorer.
        parameters: object preserve  # Its parameters.
        weight: number min=0  # Weight of its score; 1 when absent.
      template: @PodSpec  # Pods of the scheduler.
      tokenizer: object  # A tokenizer service for the scheduler.
        template: @PodSpec
  scaling: @Scaling  # Bounds and triggers of an autoscaler; not together with replicas.
  storageInitializer: object  # Download of the model before the server starts.
    enabled: bool  # False attaches no model at all.
  template: @PodSpec  # Pods of the model server, merged over the preset; the container is named main.
  tracing: object  # OpenTelemetry tracing; {} switches it on.
    exporter: string  # Exporter of spans.
    exporterEndpoint: string  # Where spans are sent.
    sampler: string  # Sampler of traces.
    samplerArg: string  # Argument of the sampler.
  worker: @PodSpec  # Worker pods of a multi-node model instance.`;

/** Field that v1alpha1 has beside those of v1alpha2. */
const CRITICALITY = "    criticality: string enum=Critical|Standard|Sheddable  # Not acted on any more; kept.";

const STATUS = `
  address: object
    CACerts: string
    audience: string
    name: string
    url: string
  addresses: []object  # All URLs of the service.
    CACerts: string
    audience: string
    models: []object
      name!: string
    name: string
    origin: @ObjectReference
    url: string
  annotations: map[string]  # Presets that the service is pinned to.
  appliedConfigs: []object  # Configs that the effective spec is made of, lowest first.
    name!: string
    namespace!: string
    source!: string enum=Preset|UserRef
  conditions: []object keys=type  # State of the service and of its parts.
    lastTransitionTime: string
    message: string
    reason: string
    severity: string
    status!: string
    type!: string
  observedGeneration: int64  # Generation of the spec that the status is about.
  router: object  # Gateways, routes and scheduler in use.
    gateways: []object
      group!: string
      httpRoutes: []@ObjectReference
      kind!: string
      listeners: []string
      name!: string
      namespace: string
    group: object
      members: []object keys=name
        backendRef: object
          group="": string
          kind=Service: string
          name!: string
          namespace: string
          port: int min=1 max=65535
        name!: string
        stopped: bool
        weight!: int
      name!: string
    scheduler: object
      inferencePool: @ObjectReference
      service: @ObjectReference
  url: string  # Where to send requests.
  workloads: object  # Objects that run the service.
    prefill: @WorkloadReference
    primary: @WorkloadReference
    scheduler: @WorkloadReference
    service: object
      apiGroup: string
      kind!: string
      name!: string`;

const CONFIG_STATUS = `
  annotations: map[string]
  conditions: []object keys=type  # State of the config.
    lastTransitionTime: string
    message: string
    reason: string
    severity: string
    status!: string
    type!: string
  observedGeneration: int64  # Generation of the spec that the status is about.
  referencedBy: []object  # Services that are built on it.
    name!: string
    namespace!: string`;

/**
 * Defaults of the foreign parts are left to the API server of the children, and nothing of a pool is required: what is
 * written here is merged over presets, and a value that nobody wrote would hide theirs.
 */
function definitions(poolSpec: string): Definitions {
  const found: Record<string, JsonSchema> = { ...POD_DEFINITIONS };
  found["HTTPRouteSpec"] = withoutKeywords(GATEWAY_DEFINITIONS["HTTPRouteSpec"]!, ["default"]);
  found["InferencePoolSpec"] = withoutKeywords(GATEWAY_DEFINITIONS[poolSpec]!, ["default", "required"]);
  for (const [name, outline] of PARTS) found[name] = readOutline(outline, found);
  return found;
}

/** What a template does not satisfy. */
const TEXT_KEYWORDS = ["pattern", "minLength", "minItems", "minProperties"] as const;

/** Fields that only v1alpha2 has: see the conversion. */
const V1ALPHA2_ONLY = /\n +(kvCacheOffloading: .*|confidential: .*\n +enabled!?: .*\n +resourceId: .*)/g;
const V1ALPHA1_SPEC = SPEC.replaceAll(V1ALPHA2_ONLY, "").replace(/(\n {2}model: object.*)/, `$1\n${CRITICALITY}`);

/** Schemas of `spec` of an LLMInferenceService, by version. */
export const SPEC_SCHEMAS: Readonly<Record<"v1alpha1" | "v1alpha2", JsonSchema>> = {
  v1alpha1: readOutline(V1ALPHA1_SPEC, definitions("InferencePoolSpecV1Alpha2")),
  v1alpha2: readOutline(SPEC, definitions("InferencePoolSpec")),
};

/** Schemas of `spec` of an LLMInferenceServiceConfig, by version: any text in them may be a template. */
export const CONFIG_SPEC_SCHEMAS: typeof SPEC_SCHEMAS = {
  v1alpha1: withoutKeywords(SPEC_SCHEMAS.v1alpha1, TEXT_KEYWORDS),
  v1alpha2: withoutKeywords(SPEC_SCHEMAS.v1alpha2, TEXT_KEYWORDS),
};

/** Schema of `status` of an LLMInferenceService. */
export const STATUS_SCHEMA: JsonSchema = readOutline(STATUS, definitions("InferencePoolSpec"));

/** Schema of `status` of an LLMInferenceServiceConfig. */
export const CONFIG_STATUS_SCHEMA: JsonSchema = readOutline(CONFIG_STATUS);
