import { applyNodeDefaults } from "./defaulting.ts";
import { createNodeCompiler } from "./nodes.ts";
import { pruneNode } from "./pruning.ts";
import type { FieldError, Json, JsonSchema, ValidationRule } from "./types.ts";
import { type RuleCheck, validateNode } from "./validate.ts";

/** Evaluates `x-kubernetes-validations`. */
export interface RuleEngine {
  /** Prepares the rules of one schema position; called once per distinct schema. */
  compile(rules: readonly ValidationRule[], schema: JsonSchema): RuleCheck;
}

export interface StructuralOptions {
  /** Without an engine the rules of a schema are not evaluated. */
  readonly rules?: RuleEngine;
}

/** A schema in use. The three steps of a write are prune, applyDefaults, validate, in this order. */
export interface Structural {
  readonly schema: JsonSchema;
  /** All violations at once, in Kubernetes' wording; empty when the value conforms. `oldValue` is for transition rules. */
  validate(value: unknown, oldValue?: unknown): FieldError[];
  /** Drops what the schema does not know, in place. Returns the dropped paths (`spec.foo`, `spec.list[0].bar`). */
  prune(value: unknown): string[];
  /** Drops nulls that the schema does not allow, then fills defaults, in place. */
  applyDefaults(value: unknown): void;
}

/**
 * Prepares a structural schema as the API server does. The root counts as a resource when it has `apiVersion`, `kind`
 * and `metadata`: then `metadata` follows ObjectMeta. Throws SyntaxError on a `pattern` that is no expression.
 */
export function createStructural(schema: JsonSchema, options: StructuralOptions = {}): Structural {
  const root = createNodeCompiler().compile(schema);
  const rules = ruleCache(options.rules);
  return {
    schema,
    validate: (value, oldValue) => validateNode(root, value as Json, oldValue as Json | undefined, rules),
    prune: (value) => pruneNode(root, value as Json),
    applyDefaults: (value) => applyNodeDefaults(root, value as Json),
  };
}

function ruleCache(engine: RuleEngine | undefined): ((schema: JsonSchema) => RuleCheck | undefined) | undefined {
  if (engine === undefined) return undefined;
  const checks = new WeakMap<JsonSchema, RuleCheck>();
  return (schema) => {
    const rules = schema["x-kubernetes-validations"];
    if (rules === undefined) return undefined;
    const known = checks.get(schema) ?? engine.compile(rules, schema);
    checks.set(schema, known);
    return known;
  };
}
