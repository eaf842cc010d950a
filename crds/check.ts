import { convert } from "./conversion.ts";
import { GROUP, OBJECT_SCHEMAS, type OurKind, STORAGE_VERSION } from "./definitions.ts";
import { textAt } from "./json.ts";
import { QUANTITY_PATTERN } from "./outline.ts";
import type { RuleEngine } from "./schema/nodes.ts";
import { type Structural, createStructural } from "./schema/structural.ts";
import type { FieldError, JsonObject, JsonSchema } from "./schema/types.ts";
import { type Findings, validateConfig, validateService } from "./validation.ts";

const HUB = `${GROUP}/${STORAGE_VERSION}`;

/** Checks an object of our kinds in either version; `old` is the stored one, on updates. */
export type ObjectCheck = (object: JsonObject, old?: JsonObject) => Findings;

/** An object's own schema; undefined where it is of no version of our kinds. */
export function schemaOf(object: JsonObject): JsonSchema | undefined {
  const version = (textAt(object, "apiVersion") ?? "").replace(`${GROUP}/`, "");
  const versions: Readonly<Record<string, JsonSchema>> | undefined =
    OBJECT_SCHEMAS[(textAt(object, "kind") ?? "") as OurKind];
  return versions?.[version];
}

/** Structurals of our schemas, each prepared when it is first needed. */
export function createStructurals(rules: RuleEngine): (object: JsonObject) => Structural | undefined {
  const prepared = new Map<JsonSchema, Structural>();
  return (object) => {
    const schema = schemaOf(object);
    if (schema === undefined) return undefined;
    const known = prepared.get(schema) ?? createStructural(schema, { rules });
    prepared.set(schema, known);
    return known;
  };
}

const NO_QUANTITY = `should match '${QUANTITY_PATTERN}'`;

/** An error in words: what a quantity looks like says more by example than by its pattern. */
const readable = (error: FieldError): FieldError =>
  error.message.endsWith(NO_QUANTITY) ? { ...error, message: "must be a quantity such as 500m or 2Gi" } : error;

/**
 * A check of everything that can be told from an object alone: its schema with rules, and what its fields say about each
 * other. All errors come at once; of two about one field that of the fields' check, which knows the remedy.
 */
export function createObjectCheck(rules: RuleEngine): ObjectCheck {
  const structuralOf = createStructurals(rules);
  return (object, old) => {
    const before = old?.["apiVersion"] === object["apiVersion"] ? old : undefined;
    const bySchema = structuralOf(object)?.validate(object, before) ?? [];
    const { errors, warnings } = checkFields(object, old);
    const told = new Set(errors.map(({ path }) => path));
    return { errors: [...bySchema.filter(({ path }) => !told.has(path)).map(readable), ...errors], warnings };
  };
}

function checkFields(object: JsonObject, old: JsonObject | undefined): Findings {
  const hub = convert(object, HUB);
  const path = object["apiVersion"] === HUB ? (error: FieldError) => error : inFirstVersion;
  const { errors, warnings } =
    textAt(object, "kind") === "LLMInferenceServiceConfig"
      ? validateConfig(hub)
      : validateService(
          hub,
          old === undefined ? undefined : convert(old, HUB),
          textAt(object, "apiVersion")?.replace(`${GROUP}/`, ""),
        );
  return { errors: errors.map(path), warnings };
}

/** Paths of pools are those of the version that was written. */
const inFirstVersion = (error: FieldError): FieldError => ({
  ...error,
  path: error.path.replace("pool.spec.endpointPickerRef", "pool.spec.extensionRef"),
});
