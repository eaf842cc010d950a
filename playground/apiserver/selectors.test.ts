import { describe, expect, test } from "@jest/globals";
import { firstAt, humanDuration } from "./columns.ts";
import { parseResourcePath } from "./paths.ts";
import { fieldSelector, labelSelector } from "./selectors.ts";

describe("labelSelector", () => {
  const labels = { app: "web", tier: "front", "example.com/x": "1" };
  test.each([
    ["", true],
    ["app=web", true],
    ["app==web,tier=front", true],
    ["app!=web", false],
    ["other!=web", true],
    ["app", true],
    ["!app", false],
    ["!other", true],
    ["app in (web, db),tier notin (back)", true],
    ["app notin (web)", false],
    ["other in (a)", false],
    ["example.com/x=1", true],
  ])("%j selects: %j", (text, selected) => {
    expect(labelSelector(text)({ metadata: { labels } })).toBe(selected);
  });

  test.each(["a b=c", "=x", "a,,b c"])("%j is refused", (text) => {
    expect(() => labelSelector(text)).toThrow(expect.objectContaining({ code: 400 }));
  });
});

test.each([
  ["metadata.name=a", true],
  ["metadata.name!=a", false],
  ["spec.nodeName=", true],
  ["spec.n=3,metadata.name=a", true],
])("fieldSelector %j selects: %j", (text, selected) => {
  expect(fieldSelector(text)({ metadata: { name: "a" }, spec: { n: 3 } })).toBe(selected);
});

test.each([
  [0, "0s"],
  [119_000, "119s"],
  [120_000, "2m"],
  [150_000, "2m30s"],
  [3_600_000, "60m"],
  [4 * 3_600_000 + 60_000, "4h1m"],
  [30 * 3_600_000, "30h"],
  [3 * 86_400_000, "3d"],
  [400 * 86_400_000, "400d"],
  [-5_000, "<invalid>"],
])("humanDuration(%d) is %s", (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

test.each([
  [".metadata.name", "n"],
  ['.status.conditions[?(@.type=="Ready")].status', "True"],
  [".status.addresses[*].url", "u1"],
  [".status.addresses[1].url", "u2"],
  [".metadata.labels['a\\.b/c']", "dotted"],
  [".metadata.labels.a\\.b/c", "dotted"],
  [".nothing.here", undefined],
])("firstAt(%s)", (path, value) => {
  const object = {
    metadata: { name: "n", labels: { "a.b/c": "dotted" } },
    status: {
      conditions: [
        { type: "Ready", status: "True" },
        { type: "Other", status: "False" },
      ],
      addresses: [{ url: "u1" }, { url: "u2" }],
    },
  };
  expect(firstAt(object, path)).toBe(value);
});

test.each([
  [
    "/api/v1/namespaces/a/pods/p/log",
    { group: "", version: "v1", namespace: "a", plural: "pods", name: "p", subresource: "log" },
  ],
  [
    "/api/v1/namespaces/a",
    { group: "", version: "v1", namespace: "", plural: "namespaces", name: "a", subresource: "" },
  ],
  [
    "/api/v1/namespaces/a/finalize",
    { group: "", version: "v1", namespace: "", plural: "namespaces", name: "a", subresource: "finalize" },
  ],
  [
    "/apis/apps/v1/deployments",
    { group: "apps", version: "v1", namespace: "", plural: "deployments", name: "", subresource: "" },
  ],
  [
    "/apis/g/v1/namespaces/a/things/x%2Fy",
    { group: "g", version: "v1", namespace: "a", plural: "things", name: "x/y", subresource: "" },
  ],
  ["/metrics", undefined],
])("parseResourcePath(%s)", (path, expected) => {
  expect(parseResourcePath(path)).toEqual(expected);
});
