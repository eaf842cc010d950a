import { Environment, Optional, ParseError } from "@marcbachmann/cel-js";
import { celValue } from "./rule-values.ts";
import { type ParseQuantity, registerKubernetesFunctions } from "./rule-functions.ts";
import { type Expression, expressionOf } from "./rule-cost.ts";
import { widenHas } from "./rule-text.ts";
import type { RuleEngine } from "./nodes.ts";
import type { FieldError, FieldErrorKind, Json, JsonSchema, ValidationRule } from "./types.ts";

/** Steps that one rule may take on one value, as Kubernetes' limit of one evaluation. */
const COST_LIMIT = 1_000_000;

const KINDS: Readonly<Record<string, FieldErrorKind>> = {
  FieldValueInvalid: "Invalid",
  FieldValueForbidden: "Forbidden",
  FieldValueRequired: "Required",
  FieldValueDuplicate: "Duplicate",
};

interface Program extends Expression {
  readonly rule: ValidationRule;
  readonly run: (context: Record<string, unknown>) => unknown;
  readonly message: ((context: Record<string, unknown>) => unknown) | undefined;
}

/** A rule that is no CEL expression. */
export class RuleError extends SyntaxError {}

function createEnvironment(parseQuantity: ParseQuantity, oldSelf: "dyn" | "optional<dyn>"): Environment {
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
    .registerVariable("self", "dyn")
    .registerVariable("oldSelf", oldSelf);
  return registerKubernetesFunctions(environment, parseQuantity);
}

/**
 * An engine for `x-kubernetes-validations` (CEL with Kubernetes' functions). `compile` throws `RuleError` for a rule that
 * cannot be read. A rule over collections so large that it might take more than a million steps is an error, not a stall.
 */
export function createRuleEngine(parseQuantity: ParseQuantity): RuleEngine {
  const plain = createEnvironment(parseQuantity, "dyn");
  const optional = createEnvironment(parseQuantity, "optional<dyn>");
  return {
    compile: (rules, schema) => {
      const programs = rules.map((rule) => compileRule(rule.optionalOldSelf === true ? optional : plain, rule));
      return (self, oldSelf, path) => programs.flatMap((program) => check(program, schema, { self, oldSelf, path }));
    },
  };
}

function compileRule(environment: Environment, rule: ValidationRule): Program {
  try {
    const run = environment.parse(widenHas(rule.rule));
    const message =
      rule.messageExpression === undefined ? undefined : environment.parse(widenHas(rule.messageExpression));
    return { rule, run, message, ...expressionOf([run.ast, message?.ast]) };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new RuleError(`rule ${JSON.stringify(rule.rule)}: ${firstLine(error)}`);
  }
}

const firstLine = (error: Error): string => error.message.split("\n")[0] ?? "";

interface Values {
  readonly self: Json;
  readonly oldSelf: Json | undefined;
  readonly path: string;
}

function check(program: Program, schema: JsonSchema, { self, oldSelf, path }: Values): FieldError[] {
  const { rule, usesOldSelf } = program;
  if (usesOldSelf && oldSelf === undefined && rule.optionalOldSelf !== true) return [];
  const failed = (message: string): FieldError[] => [
    {
      path: rule.fieldPath === undefined ? path : `${path}${rule.fieldPath}`,
      kind: KINDS[rule.reason ?? ""] ?? "Invalid",
      value: schema.type ?? "object",
      message,
    },
  ];
  if (program.cost(self) > COST_LIMIT)
    return failed("validation failed due to running out of cost budget, no further validation rules will be run");
  const context = { self: celValue(self, schema, program.fields), oldSelf: oldValue(program, schema, oldSelf) };
  try {
    return program.run(context) === true ? [] : failed(messageOf(program, context));
  } catch (error) {
    return failed(
      `${error instanceof Error ? firstLine(error) : String(error)} evaluating rule: ${rule.message ?? rule.rule}`,
    );
  }
}

function oldValue({ rule, usesOldSelf, fields }: Program, schema: JsonSchema, oldSelf: Json | undefined): unknown {
  if (!usesOldSelf) return null;
  const value = oldSelf === undefined ? undefined : celValue(oldSelf, schema, fields);
  return rule.optionalOldSelf === true ? (value === undefined ? Optional.none() : Optional.of(value)) : value;
}

function messageOf({ rule, message }: Program, context: Record<string, unknown>): string {
  const fallback = rule.message ?? `failed rule: ${rule.rule.trim()}`;
  if (message === undefined) return fallback;
  try {
    const text = message(context);
    return typeof text === "string" && text.trim() !== "" ? text : fallback;
  } catch {
    return fallback;
  }
}
