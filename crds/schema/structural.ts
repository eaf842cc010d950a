import { applyNodeDefaults } from "./defaulting.ts";
import { type RuleEngine, createNodeCompiler } from "./nodes.ts";
import { pruneNode } from "./pruning.ts";
import type { FieldError, Json, JsonSchema } from "./types.ts";
import { validateNode } from "./validate.ts";

export interface StructuralOptions {
  /** Without an engine the rules of a schema are not evaluated. */
  readonly rules?: RuleEngine;
}

/** A schema in use. The three steps of a write are prune, applyDefaults, validate, in this order. */
export interface Structural {
  readonly schema: JsonSchema;
  /**
   * All violations at once, in Kubernetes' wording; empty when the value conforms. With the value before an update,
   * transition rules apply, and what has not changed passes even if it would not pass today.
   */
  validate(value: unknown, oldValue?: unknown): FieldError[];
  /** Drops what the schema does not know, in place. Returns the dropped paths (`spec.foo`, `spec.list[0].bar`). */
  prune(value: unknown): string[];
  /** Drops nulls that the schema does not allow, then fills defaults, in place. */
  applyDefaults(value: unknown): void;
}

/**
 * Prepares a structural schema as the API server does. The root counts as a resource when it has `apiVersion`, `kind`
 * and `metadata`: then `metadata` follows ObjectMeta. Throws SyntaxError on a `pattern` or a rule that is no expression.
 */
export function createStructural(schema: JsonSchema, options: StructuralOptions = {}): Structural {
  const root = createNodeCompiler(options.rules).compile(schema);
  return {
    schema,
    validate: (value, oldValue) => validateNode(root, value as Json, oldValue as Json | undefined),
    prune: (value) => pruneNode(root, value as Json),
    applyDefaults: (value) => applyNodeDefaults(root, value as Json),
  };
}
