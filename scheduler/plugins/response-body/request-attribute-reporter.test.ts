import { expect, test } from "@jest/globals";
import type { Ticket } from "../../framework/cycle.ts";
import type { Usage } from "../../request/types.ts";
import { createReport } from "../../framework/problem.ts";
import { pluginOf } from "../../../test/scheduler/plugin-bench.ts";
import { requestAttributeReporter } from "./request-attribute-reporter.ts";

const USAGE: Usage = { promptTokens: 10, completionTokens: 5, totalTokens: 15, cachedTokens: undefined };
const cost = (expression: string, condition = "") => ({
  attributes: [{ key: { name: "cost" }, expression, condition }],
});

test.each([
  ["usage.prompt_tokens + usage.completion_tokens", "", 15],
  ["usage.total_tokens / 2", "", 7],
  ["usage.prompt_tokens * 1", "has(usage.prompt_tokens) && has(usage.completion_tokens)", 10],
  ["usage.prompt_tokens", "has(usage.cached_tokens)", undefined],
  ["usage.prompt_tokens - 10", "", undefined],
  ["usage.cached_tokens", "", undefined],
])("%s if %s", (expression, condition, value) => {
  const { plugin } = pluginOf("request-attribute-reporter", cost(expression, condition));
  const found = plugin.onUsage?.({} as Ticket, USAGE);
  expect(found?.get("envoy.lb")?.get("cost")).toBe(value);
});

test("what is no expression is an error when it is loaded", () => {
  const report = createReport();
  requestAttributeReporter.parameters.read(cost("usage.prompt_tokens +"), "parameters", report);
  expect(report.errors).toEqual([expect.objectContaining({ path: "parameters.attributes[0].expression" })]);
});
