import type { JsonObject } from "../../crds/schema/types.ts";
import type { Subject } from "./errors.ts";
import type { ServedKind } from "./kinds.ts";

/** A request for one object or collection, as the URL and its query say it. */
export interface Target {
  readonly kind: ServedKind;
  /** Empty for cluster-scoped kinds and for lists over all namespaces. */
  readonly namespace: string;
  /** Empty for collections. */
  readonly name: string;
  /** Empty, `status` or `finalize`. */
  readonly subresource: string;
}

/** How a write is meant. */
export interface WriteMode {
  readonly manager: string;
  readonly dryRun: boolean;
  readonly fieldValidation: "Strict" | "Warn" | "Ignore";
  readonly force: boolean;
  /** Texts for the client's Warning headers. */
  readonly warnings: string[];
}

/** An object in the version that was asked for, and whether the write created it. */
export interface Written {
  readonly object: JsonObject;
  readonly created: boolean;
}

/** What errors about a target are about. */
export const subjectOf = (target: Target): Subject => ({
  group: target.kind.group,
  kind: target.kind.plural,
  ...(target.name === "" ? {} : { name: target.name }),
});

/** Key of a target in the store. */
export function storeKey(target: { kind: ServedKind; namespace: string; name: string }): string {
  return target.kind.namespaced ? `${target.namespace}/${target.name}` : target.name;
}
