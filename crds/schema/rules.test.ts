import { describe, expect, test } from "@jest/globals";
import { parseQuantity } from "../../kube/quantity.ts";
import { RuleError, createRuleEngine } from "./rules.ts";
import { createStructural } from "./structural.ts";
import { type Json, type JsonSchema, type ValidationRule, formatFieldError } from "./types.ts";

const rules = createRuleEngine(parseQuantity);

/** Errors of a value at `spec` under one rule. */
function errorsOf(
  rule: ValidationRule | string,
  value: Json,
  old?: Json,
  schema: JsonSchema = { type: "object" },
): string[] {
  const entry = typeof rule === "string" ? { rule, message: "no" } : rule;
  const spec: JsonSchema = {
    "x-kubernetes-preserve-unknown-fields": true,
    ...schema,
    "x-kubernetes-validations": [entry],
  };
  const structural = createStructural({ type: "object", properties: { spec } }, { rules });
  return structural.validate({ spec: value }, old === undefined ? undefined : { spec: old }).map(formatFieldError);
}

const integer: JsonSchema = { type: "integer" };

describe("rules", () => {
  test.each<[string, Json, boolean]>([
    ["!has(self.a) || self.a > 1", {}, true],
    ["!has(self.a) || self.a > 1", { a: 1 }, false],
    ["!has(self.a) || self.a > 1", { a: 2 }, true],
    ["self.x.all(i, self.x.exists_one(j, i == j))", { x: ["a", "b"] }, true],
    ["self.x.all(i, self.x.exists_one(j, i == j))", { x: ["a", "a"] }, false],
    ["self.x.isSorted() && self.x.sum() == 6 && self.x.max() == 3", { x: [1, 2, 3] }, true],
    ["self.__namespace__ == 'n' && self.a__dash__b == 1", { namespace: "n", "a-b": 1 }, true],
    ["quantity(self.q).isLessThan(quantity('1Gi'))", { q: "500Mi" }, true],
    ["quantity(self.q).isLessThan(quantity('1Gi'))", { q: "5Gi" }, false],
    ["isQuantity(self.q) && isIP('10.0.0.1') && isCIDR('10.0.0.0/8') && isURL('http://x/y')", { q: "1" }, true],
    ["'a1b22'.findAll('[0-9]+') == ['1', '22'] && 'a1b22'.find('[0-9]+') == '1'", {}, true],
    ["self.?a.orValue('z') == 'z'", {}, true],
    ["has(self.x[0].b) && !has(self.x[1].b) && 'has(self.x[' != ''", { x: [{ b: 1 }, {}] }, true],
    ["self.x.all(e, has(self.m[e].b) || e == 'has(x)')", { x: ["p"], m: { p: { b: 1 } } }, true],
    ["duration('1h') > duration('59m')", {}, true],
  ])("%s of %j is %s", (rule, value, valid) => {
    expect(errorsOf(rule, value)).toEqual(valid ? [] : ['spec: Invalid value: "object": no']);
  });

  test("transition rules run on updates alone, and see what was", () => {
    const schema = { type: "object", properties: { n: integer } } as const;
    expect(errorsOf("self.n >= oldSelf.n", { n: 1 }, undefined, schema)).toEqual([]);
    expect(errorsOf("self.n >= oldSelf.n", { n: 3 }, { n: 2 }, schema)).toEqual([]);
    expect(errorsOf("self.n >= oldSelf.n", { n: 1 }, { n: 2 }, schema)).toHaveLength(1);
    const optional = { rule: "!oldSelf.hasValue() || oldSelf.value().n == self.n", optionalOldSelf: true };
    expect(errorsOf(optional, { n: 1 }, undefined, schema)).toEqual([]);
    expect(errorsOf(optional, { n: 1 }, { n: 2 }, schema)).toHaveLength(1);
  });

  test("message, messageExpression, reason and fieldPath shape the error", () => {
    expect(errorsOf({ rule: "self.a == 1" }, { a: 2 })).toEqual([
      'spec: Invalid value: "object": failed rule: self.a == 1',
    ]);
    expect(errorsOf({ rule: "false", messageExpression: "'a is ' + string(self.a)" }, { a: 2 })).toEqual([
      'spec: Invalid value: "object": a is 2',
    ]);
    expect(errorsOf({ rule: "false", message: "m", reason: "FieldValueForbidden", fieldPath: ".a" }, {})).toEqual([
      "spec.a: Forbidden: m",
    ]);
  });

  test("a field that is missing is an error of the rule", () => {
    expect(errorsOf("self.a.b == 1", {})).toEqual([
      'spec: Invalid value: "object": No such key: a evaluating rule: no',
    ]);
  });

  test("a rule that could take too long is not run", () => {
    const list = Array.from({ length: 300 }, (_, index) => index);
    const rule = "self.x.all(a, self.x.all(b, self.x.all(c, a + b + c >= 0)))";
    const startMs = performance.now();
    expect(errorsOf(rule, { x: list })[0]).toContain("out of cost budget");
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(errorsOf(rule, { x: [1, 2, 3] })).toEqual([]);
  });

  test("a rule that cannot be read is refused when it is compiled", () => {
    expect(() => rules.compile([{ rule: "self.(" }], {})).toThrow(RuleError);
  });
});
