import { withoutKeywords } from "./schema/keywords.ts";
import { CONFIG_SPEC_SCHEMAS, CONFIG_STATUS_SCHEMA, SPEC_SCHEMAS, STATUS_SCHEMA } from "./service-fields.ts";
import type { Json, JsonObject, JsonSchema } from "./schema/types.ts";

/** Group of our kinds. */
export const GROUP = "serving.kserve.io";
/** Versions, newest (and stored) first. */
export const VERSIONS = ["v1alpha2", "v1alpha1"] as const;
/** The version that objects are stored in. */
export const STORAGE_VERSION: (typeof VERSIONS)[number] = "v1alpha2";

/** What a custom resource definition says besides its schemas. */
export interface KindNames {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

/** One version of a custom resource. */
export interface KindVersion {
  readonly name: string;
  readonly storage: boolean;
  readonly schema: JsonSchema;
  readonly columns?: readonly JsonObject[];
  readonly status?: boolean;
  readonly scale?: { readonly specReplicasPath: string; readonly statusReplicasPath: string };
}

/** Assembles a CustomResourceDefinition (apiextensions v1). */
export function customResourceDefinition(
  group: string,
  names: KindNames,
  versions: readonly KindVersion[],
  scope: "Namespaced" | "Cluster" = "Namespaced",
): JsonObject {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${names.plural}.${group}` },
    spec: {
      group,
      scope,
      names: { ...names, listKind: `${names.kind}List` } as unknown as JsonObject,
      versions: versions.map(versionOf),
    },
  };
}

/** Keywords of Kubernetes' own OpenAPI that a CustomResourceDefinition must not have. */
const NATIVE_KEYWORDS = ["x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy"] as const;

function versionOf(version: KindVersion): Json {
  return {
    name: version.name,
    served: true,
    storage: version.storage,
    schema: { openAPIV3Schema: withoutKeywords(version.schema, NATIVE_KEYWORDS) as unknown as JsonObject },
    subresources: {
      ...(version.status === false ? {} : { status: {} }),
      ...(version.scale === undefined ? {} : { scale: version.scale }),
    },
    ...(version.columns === undefined ? {} : { additionalPrinterColumns: [...version.columns] }),
  };
}

const readyColumn = (name: string, field: string): JsonObject => ({
  name,
  type: "string",
  jsonPath: `.status.conditions[?(@.type=='Ready')].${field}`,
});

/** The column that ends every table. */
export const AGE_COLUMN: JsonObject = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

const SERVICE_COLUMNS: readonly JsonObject[] = [
  { name: "URL", type: "string", jsonPath: ".status.url" },
  readyColumn("Ready", "status"),
  readyColumn("Reason", "reason"),
  AGE_COLUMN,
  { name: "URLs", type: "string", jsonPath: ".status.addresses[*].url", priority: 1 },
];
const CONFIG_COLUMNS: readonly JsonObject[] = [
  readyColumn("Ready", "status"),
  readyColumn("Reason", "reason"),
  AGE_COLUMN,
];

const SCALE = {
  specReplicasPath: ".spec.replicas",
  statusReplicasPath: ".status.workloads.primary.readyReplicas",
} as const;

function rootSchema(description: string, spec: JsonSchema, status: JsonSchema): JsonSchema {
  return {
    type: "object",
    description,
    properties: {
      apiVersion: { type: "string", description: "Version of the schema of this object." },
      kind: { type: "string", description: "Kind of this object." },
      metadata: { type: "object" },
      spec: { ...spec, description: "What is wanted." },
      status: { ...status, description: "What is, as the operator last saw it." },
    },
  };
}

const SERVICE_DOC =
  "LLMInferenceService is a large language model that is served: model servers, the route to them, and the scheduler " +
  "that picks one for every request.";
const CONFIG_DOC =
  "LLMInferenceServiceConfig is a part of the spec of LLMInferenceServices that they share: a preset, or a base that " +
  "services name in baseRefs.";

/** Our kinds. */
export type OurKind = "LLMInferenceService" | "LLMInferenceServiceConfig";

/** The schema of our objects, by kind and version. */
export const OBJECT_SCHEMAS: Readonly<Record<OurKind, Readonly<Record<(typeof VERSIONS)[number], JsonSchema>>>> = {
  LLMInferenceService: {
    v1alpha1: rootSchema(SERVICE_DOC, SPEC_SCHEMAS.v1alpha1, STATUS_SCHEMA),
    v1alpha2: rootSchema(SERVICE_DOC, SPEC_SCHEMAS.v1alpha2, STATUS_SCHEMA),
  },
  LLMInferenceServiceConfig: {
    v1alpha1: rootSchema(CONFIG_DOC, CONFIG_SPEC_SCHEMAS.v1alpha1, CONFIG_STATUS_SCHEMA),
    v1alpha2: rootSchema(CONFIG_DOC, CONFIG_SPEC_SCHEMAS.v1alpha2, CONFIG_STATUS_SCHEMA),
  },
};

const SERVICE_NAMES: KindNames = {
  kind: "LLMInferenceService",
  plural: "llminferenceservices",
  singular: "llminferenceservice",
  shortNames: ["llmisvc"],
};
const CONFIG_NAMES: KindNames = {
  kind: "LLMInferenceServiceConfig",
  plural: "llminferenceserviceconfigs",
  singular: "llminferenceserviceconfig",
};

/** The CustomResourceDefinitions of LLMInferenceService and LLMInferenceServiceConfig, without a conversion stanza. */
export function customResourceDefinitions(): JsonObject[] {
  const versions = (kind: OurKind, rest: Pick<KindVersion, "columns" | "scale">): KindVersion[] =>
    VERSIONS.map((name) => ({ name, storage: name === STORAGE_VERSION, schema: OBJECT_SCHEMAS[kind][name], ...rest }));
  return [
    customResourceDefinition(
      GROUP,
      SERVICE_NAMES,
      versions("LLMInferenceService", { columns: SERVICE_COLUMNS, scale: SCALE }),
    ),
    customResourceDefinition(GROUP, CONFIG_NAMES, versions("LLMInferenceServiceConfig", { columns: CONFIG_COLUMNS })),
  ];
}
