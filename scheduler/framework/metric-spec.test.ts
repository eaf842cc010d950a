import { expect, test } from "@jest/globals";
import { readMetricSpec } from "./metric-spec.ts";

test.each([
  ["vllm:num_requests_waiting", "vllm:num_requests_waiting", []],
  ["  a_b  ", "a_b", []],
  ["m{a=b}", "m", [["a", "b"]]],
  [
    ' m { a = "b" , c=d,} ',
    "m",
    [
      ["a", "b"],
      ["c", "d"],
    ],
  ], // prettier-ignore
  ['m{a="x,y}z"}', "m", [["a", "x,y}z"]]],
  ["nv_trt_llm_request_metrics{request_type=waiting}", "nv_trt_llm_request_metrics", [["request_type", "waiting"]]],
  ["m{}", "m", []],
])("%s", (text, name, labels) => {
  expect(readMetricSpec(text)).toEqual({ spec: { name, labels } });
});

test("an empty text disables the metric", () => {
  expect(readMetricSpec("  ")).toEqual({ spec: undefined });
});

test.each([
  ["m{a=b", "closing brace"],
  ["m}a", "not a metric name"],
  ["{a=b}", "not a metric name"],
  ["m{a}", "name=value"],
  ["m{a=b c=d}", "name=value"],
  ["two words", "not a metric name"],
])("%s is refused", (text, problem) => {
  expect(readMetricSpec(text).problem).toContain(problem);
});
