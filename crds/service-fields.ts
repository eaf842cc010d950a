import type { JsonSchema } from "./schema/types.ts";
import { POD_DEFINITIONS } from "./core/pod-spec.ts";
import { GATEWAY_DEFINITIONS } from "./foreign/shared.ts";
import { type Definitions, readOutline } from "./outline.ts";
import { partial, withoutKeywords } from "./schema/keywords.ts";

const KEDA = `
  advanced: @KedaAdvanced  # Fine tuning of the autoscaler.
  cooldownPeriod: int min=0  # Seconds without an active trigger before it scales to the idle count.
  fallback: @KedaFallback  # What to do while metrics cannot be read.
  idleReplicaCount: int min=0  # Instances while no trigger is active; less than minReplicas.
  initialCooldownPeriod: int min=0  # Seconds after creation before it scales down for the first time.
  pollingInterval: int min=1  # Seconds between two looks at the triggers.`;

const indented = (outline: string, spaces: number): string => outline.replaceAll("\n", `\n${" ".repeat(spaces)}`);

const IDLE = (path: string, guards: string): string =>
  `? ${guards} || !has(self.${path}.idleReplicaCount) || self.${path}.idleReplicaCount < (has(self.minReplicas) ? self.minReplicas : 1) :: .${path}.idleReplicaCount :: must be less than minReplicas`;

/** Parts of the API that are used in several places. */
const PARTS: readonly (readonly [name: string, outline: string])[] = [
  [
    "ScalingRules",
    `
  policies: []object  # Limits on one step.
    periodSeconds!: int  # Seconds that the limit is about.
    type!: string  # Pods or Percent.
    value!: int  # Pods, or percent of them, that may change in the period.
  selectPolicy: string  # Which policy counts: Max, Min or Disabled.
  stabilizationWindowSeconds: int  # Seconds of past recommendations that are looked back at.
  tolerance: quantity  # Relative change of the metric that does not scale yet.`,
  ],
  [
    "ScalingBehavior",
    `
  scaleDown: @ScalingRules  # Limits when instances are removed.
  scaleUp: @ScalingRules  # Limits when instances are added.`,
  ],
  [
    "KedaAdvanced",
    `
  ? !has(self.horizontalPodAutoscalerConfig) || !has(self.horizontalPodAutoscalerConfig.name) || self.horizontalPodAutoscalerConfig.name == '' :: .horizontalPodAutoscalerConfig.name :: the operator names the autoscaler
  horizontalPodAutoscalerConfig: object  # The HorizontalPodAutoscaler that KEDA makes.
    behavior: @ScalingBehavior  # How fast it scales.
    name: string  # Not to be set: the operator names it.
  restoreToOriginalReplicaCount: bool  # Whether the number of instances goes back when the autoscaler is removed.
  scalingModifiers: object  # One metric made of several triggers by a formula; only with scaling.keda.
    activationTarget: string  # Value of the formula from which on it counts as active.
    formula: string  # The formula, over the names of the triggers.
    metricType: string enum=AverageValue|Value  # Whether the target is for one instance or for all.
    target: string  # Value of the formula to hold.`,
  ],
  [
    "KedaFallback",
    `
  behavior: string enum=static|currentReplicas|currentReplicasIfHigher|currentReplicasIfLower  # Which number of instances is taken; static when absent.
  failureThreshold!: int  # Failures in a row after which the fallback applies.
  replicas!: int  # Instances during the outage.`,
  ],
  [
    "Scaling",
    `
  ? has(self.wva) || has(self.keda) :: one of wva and keda is needed
  ? !has(self.wva) || !has(self.keda) :: wva and keda exclude each other
  ? !has(self.minReplicas) || self.minReplicas <= self.maxReplicas :: .minReplicas :: must not exceed maxReplicas
  ${IDLE("wva.keda", "!has(self.wva) || !has(self.wva.keda)")}
  ${IDLE("keda", "!has(self.keda)")}
  keda: object  # A KEDA ScaledObject with triggers of your own.${indented(KEDA, 2)}
    triggers!: []object min=1  # Sources of the metrics to scale on.
      authenticationRef: object  # Credentials for the source.
        kind: string  # TriggerAuthentication or ClusterTriggerAuthentication.
        name!: string  # Name of the credentials.
      metadata!: map[string]  # Settings of the trigger, by its type.
      metricType: string  # AverageValue, Value or Utilization.
      name: string  # Name of the trigger, for formulas.
      type!: string  # Type of the trigger, such as prometheus.
      useCachedMetrics: bool  # Whether the value of the last poll is taken between polls.
  maxReplicas!: int min=1  # Greatest number of instances.
  minReplicas: int min=1  # Least number of instances; 1 when absent.
  wva: object  # Scaling on the metric of the workload variant autoscaler.
    ? has(self.hpa) || has(self.keda) :: one of hpa and keda is needed
    ? !has(self.hpa) || !has(self.keda) :: hpa and keda exclude each other
    ? !has(self.keda) || !has(self.keda.advanced) || !has(self.keda.advanced.scalingModifiers) || ((!has(self.keda.advanced.scalingModifiers.formula) || self.keda.advanced.scalingModifiers.formula == '') && (!has(self.keda.advanced.scalingModifiers.target) || self.keda.advanced.scalingModifiers.target == '') && (!has(self.keda.advanced.scalingModifiers.activationTarget) || self.keda.advanced.scalingModifiers.activationTarget == '') && !has(self.keda.advanced.scalingModifiers.metricType)) :: .keda.advanced.scalingModifiers :: the operator sets the formula of wva; use scaling.keda for one of your own
    hpa: object  # A HorizontalPodAutoscaler.
      behavior: @ScalingBehavior  # How fast it scales.
    keda: object  # A KEDA ScaledObject.${indented(KEDA, 4)}
    variantCost: string pattern=^\\d+(\\.\\d+)?$  # Cost of one instance, a decimal number; 10.0 when absent.`,
  ],
  [
    "Parallelism",
    `
  data: int min=1  # Copies of the model that answer as one (data parallelism); together with dataLocal.
  dataLocal: int min=1  # Of those copies, how many run in one pod.
  dataRPCPort: int min=1 max=65535  # Port on which the copies talk to each other; 5555 when absent.
  expert: bool  # Whether the experts of a mixture model are spread over the accelerators.
  pipeline: int min=1  # Pods that each hold some of the layers (pipeline parallelism); excludes data.
  tensor: int min=1  # Accelerators of a pod that share each layer (tensor parallelism).`,
  ],
  [
    "KVCacheOffloading",
    `
  cpu!: quantity  # Host memory of one pod for the blocks.
  evictionPolicy: string enum=lru|arc  # Which blocks leave host memory first; lru when absent.
  secondary: []object  # Slower places behind host memory, tried in order.
    fileSystem: object  # A place in a file system; exactly one of emptyDir and pvc.
      emptyDir: object  # Disk of the node.
        size!: quantity  # Size of the place; it is requested as ephemeral storage.
      pvc: object  # A persistent volume; exactly one of ref and spec.
        ref: object  # A PersistentVolumeClaim that exists already and that all pods share.
          name!: string  # Name of the claim.
          path: string  # Folder in the volume.
        spec: @PersistentVolumeClaimSpec  # Content of a claim that every pod gets for itself.`,
  ],
  [
    "RolloutStrategy",
    `
  maxSurge: intOrString  # Instances beyond replicas while rolling out, as a number or in percent.
  maxUnavailable: intOrString  # Instances that may be missing while rolling out, as a number or in percent.`,
  ],
  [
    "ObjectReference",
    `
  group!: @Group  # API group of the object; empty for the core group.
  kind!: @Kind  # Kind of the object.
  name!: @Name  # Name of the object.
  namespace: @Namespace  # Namespace of the object; the service's own when absent.`,
  ],
  [
    "WorkloadKind",
    `
  apiGroup: string  # API group of the object.
  kind!: string  # Kind of the object.
  name!: string  # Name of the object.
  readyReplicas: int  # Instances that are ready.`,
  ],
  [
    "Conditions",
    `
  conditions: []object keys=type  # State of the object and of its parts.
    lastTransitionTime: string  # When the condition last changed.
    message: string  # Details for people.
    reason: string  # Cause in one word, for programs.
    severity: string  # Info where the condition does not count for Ready by itself.
    status!: string  # True, False or Unknown.
    type!: string  # What the condition is about.`,
  ],
];

/** Fields of the main workload, and of that of the prefill phase. */
const WORKLOAD = `
  ? !has(self.replicas) || !has(self.scaling) :: .scaling :: excludes replicas: an autoscaler sets them; remove one of the two
  annotations: map[string]  # Annotations of the model server's pods.
  kvCacheOffloading: @KVCacheOffloading  # Where blocks of the KV cache go that no longer fit into the accelerator.
  labels: map[string]  # Labels of the model server's pods.
  parallelism: @Parallelism  # How one model instance is spread over accelerators and pods.
  replicas: int min=0  # Number of model instances; not together with scaling.
  rolloutStrategy: @RolloutStrategy  # How instances are replaced when their pods change.
  scaling: @Scaling  # Bounds and triggers of an autoscaler; not together with replicas.
  template: @PodSpec  # Pods of the model server, merged over the preset; its container is named main. With worker, the leader's pod.
  worker: @PodSpec  # Worker pods; they make an instance span several pods. Needs data or pipeline parallelism.`;

const SPEC = `${WORKLOAD}
  baseRefs: []object atomic  # LLMInferenceServiceConfigs to build on, in order; later ones win over earlier ones, the service over all.
    name="": string  # Name of the config, looked up in the service's namespace, then in the operator's.
  model: object  # The model that is served.
    confidential: object  # Model files that are encrypted.
      enabled!: bool  # Whether the files are encrypted.
      resourceId: string  # Key of the files at the key broker, kbs:///repository/type/tag.
    lora: object  # LoRA adapters that are served beside the model.
      adapters: any  # The adapters, a list of objects with name and uri.
      maxAdapters: int min=1  # Adapters that may run at once (--max-loras); all of them when absent.
      maxCpuAdapters: int min=1  # Adapters kept in host memory (--max-cpu-loras); all of them when absent.
      maxRank: int min=1  # Largest rank of an adapter (--max-lora-rank); the engine's own default when absent.
    name: string  # Value of model in requests; the name of the service when absent.
    uri!: string  # Where the model lies: hf://, s3://, pvc:// or oci://.
  prefill: object  # A workload of its own for the prefill phase; the main workload then serves the decode phase only.${indented(WORKLOAD, 2)}
  router: object  # How requests reach the model servers; by their Service alone when absent.
    gateway: object  # The Gateways that the route is attached to; {} for the operator's default one.
      refs: []object  # Gateways that exist already.
        name: @Name  # Name of the Gateway.
        namespace: @Namespace  # Namespace of the Gateway.
        sectionName: @Subdomain  # Name of one listener; all when absent.
    ingress: object  # Not supported: use gateway and route.
      refs: []object  # Ingresses; they are not read.
        name: @Name  # Name of the Ingress.
        namespace: @Namespace  # Namespace of the Ingress.
    route: object  # The HTTPRoute to the service; {} for one that the operator makes and owns.
      group: string min=1 max=63 pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$  # Services of one group share requests for their model by weight.
      http: object  # HTTPRoutes of your own, or the content of the operator's.
        refs: []object atomic  # HTTPRoutes that exist already; they are checked and not changed.
          name="": string  # Name of the HTTPRoute, in the service's namespace.
        spec: @HTTPRouteSpec  # Content of the operator's HTTPRoute, merged over the preset.
      weight: int min=0 max=1000000  # Share of the group's requests, relative to the other services'.
    scheduler: object  # The endpoint picker, which chooses the pod for every request; {} for the default one.
      annotations: map[string]  # Annotations of the scheduler's pods.
      config: object  # EndpointPickerConfig of the scheduler; exactly one of inline and ref.
        inline: any  # The EndpointPickerConfig itself, as an object or as YAML text.
        ref: object atomic  # Key of a ConfigMap that holds the EndpointPickerConfig.
          key: string  # Key of the ConfigMap; epp when absent.
          name="": string  # Name of the ConfigMap, in the service's namespace.
          optional: bool  # Whether the ConfigMap, or its key, may be absent; the default configuration then applies.
      labels: map[string]  # Labels of the scheduler's pods.
      pickerPlugin: object  # Picker of the default profile, without writing a whole config.
        name!: string min=1 max=253  # Type of the picker, such as max-score-picker.
        parameters: object preserve  # Parameters of the picker, by its type.
      pool: object  # The InferencePool whose pods the scheduler chooses from.
        ref: object atomic  # A pool that exists already, with a scheduler of its own; the operator then makes neither.
          name="": string  # Name of the InferencePool, in the service's namespace.
        spec: @InferencePoolSpec  # Content of the operator's InferencePool, merged over the preset.
      replicas: int  # Number of scheduler pods, at least 1; all of them are active.
      scorerPlugins: []object keys=name max=32  # Scorers of the default profile, without writing a whole config.
        name!: string min=1 max=253  # Type of the scorer, such as queue-scorer.
        parameters: object preserve  # Parameters of the scorer, by its type.
        weight: number min=0  # Weight of the score; 1 when absent.
      template: @PodSpec  # Pods of the scheduler, merged over the preset; its container is named main.
      tokenizer: object  # A service that turns prompts into tokens for the scheduler; {} for the default one.
        template: @PodSpec  # Pods of the tokenizer, merged over the preset.
  storageInitializer: object  # How the model's files get into the pods.
    enabled: bool  # False attaches no model files at all, for images that bring them along; true when absent.
  tracing: object  # OpenTelemetry tracing of all parts; {} switches it on with the defaults.
    exporter: string  # Exporter of spans; otlp when absent.
    exporterEndpoint: string  # Where spans are sent; http://otel-collector:4317 when absent.
    sampler: string  # Which traces are kept; parentbased_traceidratio when absent.
    samplerArg: string  # Argument of the sampler, for ratios the share of traces; 0.05 when absent.`;

/** Field that v1alpha1 has beside those of v1alpha2. */
const CRITICALITY =
  "    criticality: string enum=Critical|Standard|Sheddable  # Kept, and not acted on any more: use InferenceObjectives.";

const STATUS = `
  address: object  # Not filled in any more: see url and addresses.
    CACerts: string  # Authority of the server's certificate.
    audience: string  # Audience of tokens for the address.
    name: string  # Name of the address.
    url: string  # The address.
  addresses: []object  # All URLs of the service.
    CACerts: string  # Authority of the server's certificate.
    audience: string  # Audience of tokens for the URL.
    models: []object  # Names that requests to the URL may give as model.
      name!: string  # Name of a model.
    name: string  # gateway-external, gateway-internal or internal, by who can reach the URL.
    origin: @ObjectReference  # The Gateway or Service behind the URL.
    url: string  # The URL, without the path of an endpoint such as /v1/completions.
  annotations: map[string]  # Presets that the service is pinned to, by their purpose.
  appliedConfigs: []object  # Configs that the effective spec is made of; later ones won over earlier ones.
    name!: @Name  # Name of the config.
    namespace!: @Namespace  # Namespace of the config.
    source!: string enum=Preset|UserRef  # Whether the operator chose it, or a baseRef names it.
  conditions: @ConditionList  # State of the service and of its parts; Ready sums them up.
  observedGeneration: int64  # Generation of the spec that the status is about.
  router: object  # What brings requests to the service.
    gateways: []object  # Gateways through which the service is reached.
      group!: @Group  # API group of the Gateway.
      httpRoutes: []@ObjectReference  # Routes by which it is reached there.
      kind!: @Kind  # Kind of the Gateway.
      listeners: []@Subdomain  # Listeners of the Gateway by which it is reached; all when absent.
      name!: @Name  # Name of the Gateway.
      namespace: @Namespace  # Namespace of the Gateway.
    group: object  # The group of services that share requests with this one.
      members: []object keys=name  # Services of the group.
        backendRef: @BackendReference  # Where requests to the member go.
        name!: string  # Name of the service.
        stopped: bool  # Whether the service is stopped.
        weight!: int  # Share of requests that it asks for.
      name!: string  # Name of the group.
    scheduler: object  # The scheduler in use.
      inferencePool: @ObjectReference  # The pool that it chooses from.
      service: @ObjectReference  # The Service of the endpoint picker.
  url: string  # Where to send requests.
  workloads: object  # Objects that run the service.
    prefill: @WorkloadReference  # Runs the prefill phase.
    primary: @WorkloadReference  # Runs the model servers, or their decode phase.
    scheduler: @WorkloadReference  # Runs the scheduler.
    service: object atomic  # The Service of the model servers.
      apiGroup: string  # API group of the object.
      kind!: string  # Kind of the object.
      name!: string  # Name of the object.`;

const CONFIG_STATUS = `
  annotations: map[string]  # Notes of the operator.
  conditions: @ConditionList  # State of the config: Ready, and ConfigInUse.
  observedGeneration: int64  # Generation of the spec that the status is about.
  referencedBy: []object  # Services that are built on the config.
    name: @Name  # Name of the service.
    namespace: @Namespace  # Namespace of the service.`;

/** What a template does not satisfy. */
const TEXT_KEYWORDS = [
  "pattern",
  "minLength",
  "minItems",
  "minProperties",
  "x-kubernetes-validations",
] as const satisfies readonly (keyof JsonSchema)[];

/** Parts that presets and configs write templates into. */
const TEMPLATED = ["PodSpec", "HTTPRouteSpec", "InferencePoolSpec"];

const STORED_POOL = "InferencePoolSpec";

/**
 * A route without the default of its rules, which would replace those of the preset. The defaults within a rule replace
 * nothing: rules are given as a whole.
 */
function withoutRules(route: JsonSchema): JsonSchema {
  const { default: _rules, ...rules } = route.properties!["rules"]!;
  return { ...route, properties: { ...route.properties, rules } };
}

/**
 * Of the foreign parts, what is merged over presets has no defaults, and nothing of a pool is required: a value that nobody
 * wrote would hide theirs.
 */
function definitions(poolSpec: string, templated: boolean): Definitions {
  const found: Record<string, JsonSchema> = { ...POD_DEFINITIONS, ...GATEWAY_DEFINITIONS };
  found["HTTPRouteSpec"] = withoutRules(GATEWAY_DEFINITIONS["HTTPRouteSpec"]!);
  found["InferencePoolSpec"] = partial(GATEWAY_DEFINITIONS[poolSpec]!);
  // Described once, in the stored version: the definition has to stay below the 1.5 MiB that etcd takes.
  if (poolSpec !== STORED_POOL) found["PodSpec"] = withoutKeywords(found["PodSpec"]!, ["description"]);
  if (templated) for (const name of TEMPLATED) found[name] = withoutKeywords(found[name]!, TEXT_KEYWORDS);
  for (const [name, outline] of PARTS) found[name] = readOutline(outline, found);
  found["WorkloadReference"] = { ...found["WorkloadKind"]!, "x-kubernetes-map-type": "atomic" };
  found["ConditionList"] = found["Conditions"]!.properties!["conditions"]!;
  return found;
}

/** Fields that only v1alpha2 has: see the conversion. */
const V1ALPHA2_ONLY = /\n +(kvCacheOffloading: .*|confidential: .*\n +enabled!?: .*\n +resourceId: .*)/g;
const V1ALPHA1_SPEC = SPEC.replaceAll(V1ALPHA2_ONLY, "").replace(/(\n {2}model: object.*)/, `$1\n${CRITICALITY}`);

function specSchemas(templated: boolean): Readonly<Record<"v1alpha1" | "v1alpha2", JsonSchema>> {
  return {
    v1alpha1: readOutline(V1ALPHA1_SPEC, definitions("InferencePoolSpecV1Alpha2", templated)),
    v1alpha2: readOutline(SPEC, definitions(STORED_POOL, templated)),
  };
}

/** Schemas of `spec` of an LLMInferenceService, by version. */
export const SPEC_SCHEMAS = specSchemas(false);

/** Schemas of `spec` of an LLMInferenceServiceConfig, by version: texts of pods, routes and pools may be templates. */
export const CONFIG_SPEC_SCHEMAS = specSchemas(true);

const STATUS_DEFINITIONS = definitions(STORED_POOL, false);

/** Schema of `status` of an LLMInferenceService. */
export const STATUS_SCHEMA: JsonSchema = readOutline(STATUS, STATUS_DEFINITIONS);

/** Schema of `status` of an LLMInferenceServiceConfig. */
export const CONFIG_STATUS_SCHEMA: JsonSchema = readOutline(CONFIG_STATUS, STATUS_DEFINITIONS);
