import { type Condition, type ConditionVariables, createConditions } from "../../crds/schema/conditions.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { parseQuantity } from "../../kube/quantity.ts";
import { internalError } from "./errors.ts";
import { listOf, textOf, at } from "./objects.ts";

const MAX_COMPILED = 1000;

/** Decides by the `matchConditions` of webhooks whether they are called. Each expression is read once. */
export class MatchConditions {
  readonly #read = createConditions(parseQuantity);
  readonly #compiled = new Map<string, Condition>();

  /**
   * Whether the webhook wants to see the request of this review: all its conditions hold. One that cannot be evaluated counts
   * only where no other is false. Errors: 500 then, unless the webhook's failure policy is `Ignore`.
   */
  isCalled(webhook: JsonObject, review: JsonObject): boolean {
    const conditions = listOf(webhook["matchConditions"]);
    if (conditions.length === 0) return true;
    const request = review["request"] ?? null;
    const variables = { request, object: at(request, "object") ?? null, oldObject: at(request, "oldObject") ?? null };
    const failures: string[] = [];
    for (const condition of conditions) {
      const held = this.#evaluate(condition, variables, failures);
      if (held === false) return false;
    }
    if (failures.length === 0) return true;
    if (webhook["failurePolicy"] === "Ignore") return false;
    throw internalError(
      `failed evaluating match conditions of webhook ${textOf(webhook["name"])}: ${failures.join("; ")}`,
    );
  }

  /** Undefined, with the cause in `failures`, where the expression cannot be evaluated. */
  #evaluate(condition: Json, variables: ConditionVariables, failures: string[]): boolean | undefined {
    try {
      return this.#conditionOf(textOf(at(condition, "expression")))(variables);
    } catch (error) {
      const cause = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      failures.push(`${textOf(at(condition, "name"))}: ${cause}`);
      return undefined;
    }
  }

  #conditionOf(expression: string): Condition {
    const known = this.#compiled.get(expression);
    if (known !== undefined) return known;
    const condition = this.#read(expression);
    if (this.#compiled.size >= MAX_COMPILED) this.#compiled.clear();
    this.#compiled.set(expression, condition);
    return condition;
  }
}
