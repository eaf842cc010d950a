import { isDeepStrictEqual } from "node:util";
import { Environment, type Optional, ParseError } from "@marcbachmann/cel-js";
import { isObject } from "../json.ts";
import { type ParseQuantity, registerKubernetesFunctions } from "./rule-functions.ts";
import { RuleError } from "./rules.ts";
import type { Json } from "./types.ts";

/** What an expression may name: `object`, `oldObject` and `request`; null where there is none. */
export type ConditionVariables = Readonly<Record<"object" | "oldObject" | "request", Json>>;

/** A condition on a request. Errors: those of its evaluation, such as a field that is not there. */
export type Condition = (variables: ConditionVariables) => boolean;

const contentOf = (value: Optional): unknown => (value.hasValue() ? value.value() : undefined);

/** A JSON value as CEL sees it where no schema tells its type: whole numbers are ints. */
function dynamicValue(value: Json): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(dynamicValue);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, dynamicValue(item)]));
}

/**
 * A reader of the CEL expressions by which Kubernetes selects requests (`matchConditions` of webhooks). It throws `RuleError`
 * for a text that is no expression.
 */
export function createConditions(parseQuantity: ParseQuantity): (expression: string) => Condition {
  const environment = registerKubernetesFunctions(
    new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
      .registerVariable("object", "dyn")
      .registerVariable("oldObject", "dyn")
      .registerVariable("request", "dyn")
      .registerOperator("optional<dyn> == optional<dyn>", (left: Optional, right: Optional) =>
        isDeepStrictEqual(contentOf(left), contentOf(right)),
      ),
    parseQuantity,
  );
  return (expression) => {
    try {
      const run = environment.parse(expression);
      return ({ object, oldObject, request }) =>
        run({ object: dynamicValue(object), oldObject: dynamicValue(oldObject), request: dynamicValue(request) }) ===
        true;
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      throw new RuleError(`expression ${JSON.stringify(expression)}: ${error.message.split("\n")[0]}`);
    }
  };
}
