import type { CoreKind } from "../../crds/core.ts";
import { createRuleEngine } from "../../crds/schema/rules.ts";
import { type Structural, createStructural } from "../../crds/schema/structural.ts";
import type { JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { parseQuantity } from "../../kube/quantity.ts";
import { at, listOf, objectOf, textOf } from "./objects.ts";

const RULES = createRuleEngine(parseQuantity);

/** One column of `kubectl get`; `jsonPath` is relative to the object. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly description?: string;
  readonly format?: string;
  /** 0 is always shown, others with `-o wide`. */
  readonly priority?: number;
}

/** Paths of the scale sub-resource, as CRDs spell them (`.spec.replicas`). */
export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string | undefined;
}

/** A kind in one version as the server serves it. */
export interface ServedKind {
  readonly group: string;
  readonly version: string;
  /** `v1` or `group/version`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly schema: JsonSchema;
  readonly structural: Structural;
  readonly hasStatus: boolean;
  readonly scale: ScalePaths | undefined;
  readonly columns: readonly PrinterColumn[];
  /** Key in the store, shared by all versions of the kind. */
  readonly storage: string;
  /** apiVersion of stored objects. */
  readonly storageApiVersion: string;
  /** `CustomResourceDefinition.spec.conversion`; undefined for built-in kinds. */
  readonly conversion: JsonObject | undefined;
}

/** Group and version of an apiVersion. */
function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf("/");
  return slash < 0
    ? { group: "", version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** The columns of a kind that names none. */
const AGE: PrinterColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

/** Both groups of Event are one storage, in the shape of the core group. */
const EVENT_STORAGE = { storage: "/events", storageApiVersion: "v1" };

/** Serves a built-in kind. */
export function builtinKind(definition: CoreKind): ServedKind {
  const { group, version } = splitApiVersion(definition.apiVersion);
  return {
    ...definition,
    group,
    version,
    listKind: `${definition.kind}List`,
    columns: [AGE],
    structural: createStructural(definition.schema),
    storage: `${group}/${definition.plural}`,
    storageApiVersion: definition.apiVersion,
    conversion: undefined,
    ...(definition.kind === "Event" ? EVENT_STORAGE : {}),
  };
}

/** The served versions of a CustomResourceDefinition (apiextensions v1). */
export function customKinds(crd: JsonObject): ServedKind[] {
  const spec = objectOf(crd["spec"]);
  const versions = listOf(spec["versions"]).map(objectOf);
  const storage = textOf(versions.find((version) => version["storage"] === true)?.["name"]);
  return versions.filter((version) => version["served"] === true).map((version) => customKind(spec, version, storage));
}

function customKind(spec: JsonObject, version: JsonObject, storageVersion: string): ServedKind {
  const [group, name] = [textOf(spec["group"]), textOf(version["name"])];
  const names = objectOf(spec["names"]);
  // Shape checked when the definition was admitted.
  const schema = objectOf(at(version, "schema", "openAPIV3Schema")) as unknown as JsonSchema;
  const complete = withMetadata(schema);
  return {
    group,
    version: name,
    apiVersion: `${group}/${name}`,
    kind: textOf(names["kind"]),
    listKind: textOf(names["listKind"]),
    plural: textOf(names["plural"]),
    singular: textOf(names["singular"]),
    shortNames: listOf(names["shortNames"]).map(textOf),
    categories: listOf(names["categories"]).map(textOf),
    namespaced: spec["scope"] === "Namespaced",
    schema: complete,
    structural: createStructural(complete, { rules: RULES }),
    hasStatus: at(version, "subresources", "status") !== undefined,
    scale: at(version, "subresources", "scale") as unknown as ScalePaths | undefined,
    columns: columnsOf(version),
    storage: `${group}/${textOf(names["plural"])}`,
    storageApiVersion: `${group}/${storageVersion}`,
    conversion: objectOf(spec["conversion"]),
  };
}

/** The three fields that every kind has, whether its schema names them or not. */
function withMetadata(schema: JsonSchema): JsonSchema {
  const text: JsonSchema = { type: "string" };
  const properties = { apiVersion: text, kind: text, metadata: { type: "object" } as const, ...schema.properties };
  return { type: "object", ...schema, properties };
}

function columnsOf(version: JsonObject): PrinterColumn[] {
  const columns = listOf(version["additionalPrinterColumns"]) as unknown as PrinterColumn[];
  return columns.length === 0 ? [AGE] : columns;
}

/** Which kinds are served now. Definitions of custom resources come and go; built-in kinds stay. */
export class KindRegistry {
  readonly #builtin: readonly ServedKind[];
  #custom = new Map<string, readonly ServedKind[]>();
  #byPath = new Map<string, ServedKind>();
  #all: readonly ServedKind[] = [];

  constructor(builtin: readonly ServedKind[]) {
    this.#builtin = builtin;
    this.#index();
  }

  /** All served kinds, each version on its own. */
  all(): readonly ServedKind[] {
    return this.#all;
  }

  find(group: string, version: string, plural: string): ServedKind | undefined {
    return this.#byPath.get(`${group}/${version}/${plural}`);
  }

  ofKind(apiVersion: string, kind: string): ServedKind | undefined {
    return this.#all.find((served) => served.apiVersion === apiVersion && served.kind === kind);
  }

  /** Whether the group is one of Kubernetes itself. */
  isBuiltinGroup(group: string): boolean {
    return this.#builtin.some((kind) => kind.group === group);
  }

  /** All versions of the kind that shares a storage. */
  ofStorage(storage: string): readonly ServedKind[] {
    return this.#all.filter((served) => served.storage === storage);
  }

  /** Serves the versions of a definition, instead of those it had before. */
  define(crd: JsonObject): void {
    this.#custom.set(textOf(at(crd, "metadata", "name")), customKinds(crd));
    this.#index();
  }

  undefine(crdName: string): void {
    if (this.#custom.delete(crdName)) this.#index();
  }

  #index(): void {
    this.#all = [...this.#builtin, ...[...this.#custom.values()].flat()];
    this.#byPath = new Map(this.#all.map((kind) => [`${kind.group}/${kind.version}/${kind.plural}`, kind]));
  }
}
