import { createHash } from "node:crypto";
import { OBJECT_META } from "../../crds/schema/object-meta.ts";
import type { JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { VERSION } from "./discovery.ts";
import type { KindRegistry, ServedKind } from "./kinds.ts";

const OBJECT_META_NAME = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

const pathOf = (kind: ServedKind): string => (kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.apiVersion}`);

/** `io.kserve.serving.v1alpha2.LLMInferenceService`: the group reversed, the version, the kind. */
function schemaName(kind: ServedKind): string {
  const group = kind.group === "" ? "io.k8s.api.core" : kind.group.split(".").reverse().join(".");
  return `${group}.${kind.version}.${kind.kind}`;
}

const gvkOf = (kind: ServedKind): JsonObject => ({ group: kind.group, version: kind.version, kind: kind.kind });

const CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
const METADATA_DESCRIPTION = `Standard object's metadata. More info: ${CONVENTIONS}#metadata`;
const TYPE_FIELDS = {
  apiVersion: {
    type: "string",
    description: `APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: ${CONVENTIONS}#resources`,
  },
  kind: {
    type: "string",
    description: `Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: ${CONVENTIONS}#types-kinds`,
  },
};

/** What is an integer or a string says so in the words of OpenAPI, too. */
function withAlternatives(schema: JsonSchema): JsonSchema {
  const { properties, items, additionalProperties } = schema;
  const entries = Object.entries(properties ?? {}).map(([name, child]) => [name, withAlternatives(child)] as const);
  return {
    ...schema,
    ...(properties === undefined ? {} : { properties: Object.fromEntries(entries) }),
    ...(items === undefined ? {} : { items: withAlternatives(items) }),
    ...(typeof additionalProperties === "object"
      ? { additionalProperties: withAlternatives(additionalProperties) }
      : {}),
    ...(schema["x-kubernetes-int-or-string"] === true ? { anyOf: [{ type: "integer" }, { type: "string" }] } : {}),
  };
}

function component(kind: ServedKind): JsonObject {
  const metadata = {
    allOf: [{ $ref: `#/components/schemas/${OBJECT_META_NAME}` }],
    ...(kind.conversion === undefined ? { default: {} } : {}),
    description: METADATA_DESCRIPTION,
  };
  const properties = { ...withAlternatives(kind.schema).properties, ...TYPE_FIELDS, metadata };
  return {
    ...asJson(kind.schema),
    properties: properties as unknown as JsonObject,
    "x-kubernetes-group-version-kind": [gvkOf(kind)],
  };
}

const asJson = (schema: JsonSchema): JsonObject => schema as unknown as JsonObject;

const parameter = (name: string, place: string, type: string, required = false): JsonObject => ({
  name,
  in: place,
  required,
  schema: { type, uniqueItems: true },
});

const WRITE_PARAMETERS = ["dryRun", "fieldManager", "fieldValidation"].map((name) =>
  parameter(name, "query", "string"),
);
const FORCE = parameter("force", "query", "boolean");

/** Operations of one path; the media types of a patch tell clients which patches are served. */
function operations(kind: ServedKind, names: Readonly<Record<string, string>>): JsonObject {
  const reference = { $ref: `#/components/schemas/${schemaName(kind)}` };
  const answer = { "200": { description: "OK", content: { "application/json": { schema: reference } } } };
  return Object.fromEntries(
    Object.entries(names).map(([method, action]): [string, JsonObject] => {
      const patch = method === "patch";
      const writes = patch || method === "post" || method === "put";
      const types = patch ? patchTypes(kind) : ["application/json"];
      const content = Object.fromEntries(
        types.map((type) => [type, { schema: patch ? { type: "object" } : reference }]),
      );
      return [
        method,
        {
          operationId: `${action}${kind.group.replaceAll(/\W/g, "_")}${kind.version}${kind.kind}`,
          ...(writes
            ? {
                parameters: patch ? [...WRITE_PARAMETERS, FORCE] : WRITE_PARAMETERS,
                requestBody: { content, required: true },
              }
            : {}),
          responses: answer,
          "x-kubernetes-action": action,
          "x-kubernetes-group-version-kind": gvkOf(kind),
        },
      ];
    }),
  );
}

function patchTypes(kind: ServedKind): string[] {
  const all = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
  return kind.conversion === undefined ? [...all, "application/strategic-merge-patch+json"] : all;
}

function pathsOf(kind: ServedKind): JsonObject {
  const scope = kind.namespaced ? "/namespaces/{namespace}" : "";
  const collection = `${pathOf(kind)}${scope}/${kind.plural}`;
  const shared = kind.namespaced ? [parameter("namespace", "path", "string", true)] : [];
  const below = [kind.hasStatus ? "status" : "", kind.scale === undefined ? "" : "scale"].filter((name) => name !== "");
  const subresources = below.map((name): [string, JsonObject] => [
    `${collection}/{name}/${name}`,
    {
      ...operations(kind, { get: "get", put: "put", patch: "patch" }),
      parameters: [parameter("name", "path", "string", true), ...shared],
    },
  ]);
  const everywhere = { ...operations(kind, { get: "list" }), parameters: [] };
  return {
    ...Object.fromEntries(subresources),
    ...(kind.namespaced ? { [`${pathOf(kind)}/${kind.plural}`]: everywhere } : {}),
    [collection]: {
      ...operations(kind, { get: "list", post: "post", delete: "deletecollection" }),
      parameters: shared,
    },
    [`${collection}/{name}`]: {
      ...operations(kind, { get: "get", put: "put", patch: "patch", delete: "delete" }),
      parameters: [parameter("name", "path", "string", true), ...shared],
    },
  };
}

function documentOf(kinds: readonly ServedKind[]): JsonObject {
  const schemas: JsonObject = { [OBJECT_META_NAME]: asJson(OBJECT_META) };
  const paths: JsonObject = {};
  for (const kind of kinds) {
    schemas[schemaName(kind)] = component(kind);
    Object.assign(paths, pathsOf(kind));
  }
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: VERSION["gitVersion"]! },
    paths,
    components: { schemas },
  };
}

/** Media type in which kubectl asks for OpenAPI v2. */
export const SWAGGER_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/**
 * OpenAPI v2 in the protobuf form (`openapi.v2.Document`: 1 swagger, 2 info with 1 title and 2 version), without any
 * definition. kubectl asks for it to check a `List` before it sends the items; what it does not find there it leaves to
 * the server, which checks each item anyway.
 */
export function swaggerProtobuf(): Buffer {
  const field = (number: number, value: string | Buffer): Buffer =>
    Buffer.concat([Buffer.from([number * 8 + 2, Buffer.byteLength(value)]), Buffer.from(value)]);
  const info = Buffer.concat([field(1, "Kubernetes"), field(2, VERSION["gitVersion"]!)]);
  return Buffer.concat([field(1, "2.0"), field(2, info)]);
}

/** OpenAPI v3 of the served kinds, a document for each group and version, made when it is asked for. */
export class OpenApi {
  readonly #kinds: KindRegistry;
  readonly #cache = new WeakMap<readonly ServedKind[], Map<string, { text: string; hash: string }>>();

  constructor(kinds: KindRegistry) {
    this.#kinds = kinds;
  }

  /** `/openapi/v3`: where the documents are; the hash lets clients keep them. */
  index(): JsonObject {
    const names = new Set(this.#kinds.all().map((kind) => pathOf(kind).slice(1)));
    const paths = [...names].map((name) => {
      const { hash } = this.#document(name);
      return [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` }] as const;
    });
    return { paths: Object.fromEntries(paths) };
  }

  /** The text of a document by name (`apis/apps/v1`); undefined for what is not served. */
  document(name: string): string | undefined {
    return this.#kinds.all().some((kind) => pathOf(kind) === `/${name}`) ? this.#document(name).text : undefined;
  }

  /** OpenAPI v2 of everything, for clients that know no v3. */
  swagger(): JsonObject {
    const definitions: JsonObject = { [OBJECT_META_NAME]: asJson(OBJECT_META) };
    for (const kind of this.#kinds.all()) {
      const properties = { ...kind.schema.properties, metadata: { $ref: `#/definitions/${OBJECT_META_NAME}` } };
      const schema = { ...asJson(kind.schema), properties: properties as unknown as JsonObject };
      definitions[schemaName(kind)] = { ...schema, "x-kubernetes-group-version-kind": [gvkOf(kind)] };
    }
    return {
      swagger: "2.0",
      info: { title: "Kubernetes", version: VERSION["gitVersion"]! },
      paths: {},
      definitions,
    };
  }

  #document(name: string): { text: string; hash: string } {
    const all = this.#kinds.all();
    const documents = this.#cache.get(all) ?? new Map<string, { text: string; hash: string }>();
    this.#cache.set(all, documents);
    const known = documents.get(name);
    if (known !== undefined) return known;
    const text = JSON.stringify(documentOf(all.filter((kind) => pathOf(kind) === `/${name}`)));
    const made = { text, hash: createHash("sha256").update(text).digest("hex").toUpperCase() };
    documents.set(name, made);
    return made;
  }
}
