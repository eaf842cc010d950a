import { convert } from "../../crds/conversion.ts";
import { applyServiceDefaults } from "../../crds/defaults.ts";
import { customResourceDefinitions } from "../../crds/definitions.ts";
import { type Structural, createStructural } from "../../crds/schema/structural.ts";
import { type Json, type JsonObject, type JsonSchema, formatFieldError } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { at, listAt, textAt } from "../../crds/json.ts";

function schemasByKind(): ReadonlyMap<string, Structural> {
  const entries = customResourceDefinitions().flatMap((definition) =>
    listAt(definition, "spec", "versions").map((version) => {
      const schema = at(version, "schema", "openAPIV3Schema") as unknown as JsonSchema;
      const apiVersion = `${textAt(definition, "spec", "group")}/${textAt(version, "name")}`;
      return [`${apiVersion}/${textAt(definition, "spec", "names", "kind")}`, createStructural(schema)] as const;
    }),
  );
  return new Map(entries);
}

let schemas: ReadonlyMap<string, Structural> | undefined;

function schemaOf(document: Json): Structural | undefined {
  schemas ??= schemasByKind();
  return schemas.get(`${textAt(document, "apiVersion")}/${textAt(document, "kind")}`);
}

/** A manifest as an API server would store it, and what it would say of it. */
export interface Stored {
  readonly object: JsonObject;
  /** Fields that the schema does not know: dropped, or refused where validation is strict. */
  readonly unknown: readonly string[];
  /** Why the schema refuses it. */
  readonly errors: readonly string[];
}

/**
 * What becomes of a manifest of ours on its way into the cluster: pruned, defaulted and checked in its own version, converted
 * to the stored one, then defaulted as our webhook does. Other kinds stay as they are.
 */
export function stored(document: JsonObject): Stored {
  const schema = schemaOf(document);
  if (schema === undefined) return { object: document, unknown: [], errors: [] };
  const copy = JSON.parse(JSON.stringify(document)) as JsonObject;
  const unknown = schema.prune(copy);
  schema.applyDefaults(copy);
  const errors = schema.validate(copy).map(formatFieldError);
  const converted = convert(copy, KINDS.LLMInferenceService.apiVersion);
  const isService = converted["kind"] === KINDS.LLMInferenceService.kind;
  return { object: isService ? applyServiceDefaults(converted) : converted, unknown, errors };
}
