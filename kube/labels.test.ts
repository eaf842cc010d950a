import { expect, test } from "@jest/globals";
import { type LabelSelector, selectorMatches } from "./labels.ts";

const labels = { app: "a", tier: "web" };
const cases: readonly (readonly [LabelSelector, boolean])[] = [
  [{}, true],
  [{ matchLabels: { app: "a", tier: "web" } }, true],
  [{ matchLabels: { app: "b" } }, false],
  [{ matchExpressions: [{ key: "app", operator: "In", values: ["a", "b"] }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "NotIn", values: ["a"] }] }, false],
  [{ matchExpressions: [{ key: "absent", operator: "NotIn", values: ["a"] }] }, true],
  [{ matchExpressions: [{ key: "absent", operator: "In", values: ["a"] }] }, false],
  [{ matchExpressions: [{ key: "app", operator: "Exists" }] }, true],
  [{ matchExpressions: [{ key: "app", operator: "DoesNotExist" }] }, false],
  [{ matchLabels: { app: "a" }, matchExpressions: [{ key: "tier", operator: "In", values: ["db"] }] }, false],
  [{ matchExpressions: [{ key: "app", operator: "Almost" }] }, false],
];

test.each(cases)("selector %j: %s", (selector, expected) => expect(selectorMatches(selector, labels)).toBe(expected));
