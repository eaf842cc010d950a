import { CORE_OUTLINES, CORE_PARTS } from "./core/kinds.ts";
import { POD_DEFINITIONS } from "./core/pod-spec.ts";
import { readOutline } from "./outline.ts";
import { OBJECT_META } from "./schema/object-meta.ts";
import type { JsonSchema } from "./schema/types.ts";

/** A kind of Kubernetes itself, as an API server serves it. */
export interface CoreKind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  readonly schema: JsonSchema;
  readonly hasStatus: boolean;
  readonly scale:
    | {
        readonly specReplicasPath: string;
        readonly statusReplicasPath: string;
        readonly labelSelectorPath: string;
      }
    | undefined;
  readonly categories: readonly string[];
}

const SCALE = {
  specReplicasPath: ".spec.replicas",
  statusReplicasPath: ".status.replicas",
  labelSelectorPath: ".spec.selector",
} as const;

function definitions(): Readonly<Record<string, JsonSchema>> {
  const found: Record<string, JsonSchema> = { ...POD_DEFINITIONS };
  for (const [name, outline] of CORE_PARTS) found[name] = readOutline(outline, found);
  return found;
}

function withMetadata(fields: JsonSchema): JsonSchema {
  const text: JsonSchema = { type: "string" };
  return { ...fields, properties: { apiVersion: text, kind: text, metadata: OBJECT_META, ...fields.properties } };
}

/** The kinds of Kubernetes that this product touches, with schemas in which list keys steer merges and applies. */
export function coreKinds(): CoreKind[] {
  const shared = definitions();
  return CORE_OUTLINES.map((entry) => ({
    apiVersion: entry.apiVersion,
    kind: entry.kind,
    plural: entry.plural,
    singular: entry.kind.toLowerCase(),
    shortNames: entry.shortNames ?? [],
    namespaced: entry.cluster !== true,
    schema: withMetadata(readOutline(entry.outline, shared)),
    hasStatus: entry.status === true,
    scale: entry.scale === true ? SCALE : undefined,
    categories: entry.categories ?? [],
  }));
}
