import type { JsonSchema } from "../../crds/schema/types.ts";

/** Strings, or quantities, by name: merged key by key. */
const MAP: JsonSchema = { type: "object", additionalProperties: true };
/** Taken as a whole: the later one wins. */
const WHOLE: JsonSchema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

function object(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { type: "object", properties };
}

/** A list whose elements merge by one of their fields. */
function keyed(key: string, properties: Readonly<Record<string, JsonSchema>> = {}): JsonSchema {
  return {
    type: "array",
    "x-kubernetes-patch-strategy": "merge",
    "x-kubernetes-patch-merge-key": key,
    items: object(properties),
  };
}

const CONTAINER_FIELDS: Readonly<Record<string, JsonSchema>> = {
  env: keyed("name"),
  ports: keyed("containerPort"),
  volumeMounts: keyed("mountPath"),
  volumeDevices: keyed("devicePath"),
  resources: object({ limits: MAP, requests: MAP }),
};

/** How the fields of one container merge. */
export const CONTAINER_MERGE_SCHEMA: JsonSchema = object(CONTAINER_FIELDS);

const CONTAINERS = keyed("name", CONTAINER_FIELDS);

/** Labels that select: a key with an empty value selects too. */
const SELECTOR = object({ matchLabels: MAP });

const VOLUMES = keyed("name", {
  csi: object({ volumeAttributes: MAP }),
  flexVolume: object({ options: MAP }),
  ephemeral: object({
    volumeClaimTemplate: object({
      metadata: object({ labels: MAP, annotations: MAP }),
      spec: object({ selector: SELECTOR }),
    }),
  }),
});

const POD = object({
  containers: CONTAINERS,
  initContainers: CONTAINERS,
  ephemeralContainers: CONTAINERS,
  volumes: VOLUMES,
  resourceClaims: keyed("name"),
  imagePullSecrets: keyed("name"),
  schedulingGates: keyed("name"),
  hostAliases: keyed("ip"),
  topologySpreadConstraints: keyed("topologyKey", { labelSelector: SELECTOR }),
  nodeSelector: MAP,
  overhead: MAP,
});

const WORKLOAD: Readonly<Record<string, JsonSchema>> = { labels: MAP, annotations: MAP, template: POD, worker: POD };

const SCHEDULER = object({
  labels: MAP,
  annotations: MAP,
  template: POD,
  tokenizer: object({ template: POD }),
  config: object({ inline: WHOLE }),
  pool: object({ spec: object({ selector: SELECTOR }) }),
  scorerPlugins: keyed("name", { parameters: WHOLE }),
  pickerPlugin: object({ parameters: WHOLE }),
});

/**
 * How the fields of a service's spec merge: the merge keys are those of Kubernetes' Go types (`k8s.io/api`), which differ from
 * the map keys of server-side apply (a container port merges by its number alone). Fields not named here merge as objects;
 * lists not named here are replaced.
 */
export const SPEC_MERGE_SCHEMA: JsonSchema = object({
  ...WORKLOAD,
  prefill: object(WORKLOAD),
  router: object({ scheduler: SCHEDULER }),
});
