import { describe, expect, test } from "@jest/globals";
import type { Fields } from "../fields.ts";
import { type RouteEntry, applyFilters, durationMs, hostMatches, matchRoute, rewritePath } from "./route-match.ts";

function entry(name: string, match: Fields, options: { hostnames?: string[]; created?: string } = {}): RouteEntry {
  return {
    name,
    namespace: "ns",
    hostnames: options.hostnames ?? [],
    created: options.created ?? "2026-01-01T00:00:00Z",
    index: 0,
    rule: { matches: [match] },
  };
}

const prefix = (value: string): Fields => ({ path: { type: "PathPrefix", value } });
const exact = (value: string): Fields => ({ path: { type: "Exact", value } });

function winner(entries: readonly RouteEntry[], path: string, headers: Record<string, string> = {}, host = "h") {
  const request = { host, method: "POST", path, query: new URLSearchParams("a=1"), headers };
  return matchRoute(entries, request)?.entry.name;
}

describe("the rule of a request", () => {
  test.each([
    ["the longest prefix", [entry("short", prefix("/a")), entry("long", prefix("/a/v1"))], "/a/v1/x", "long"],
    [
      "an exact path before a prefix",
      [entry("prefix", prefix("/a/b")), entry("exact", exact("/a/b"))],
      "/a/b",
      "exact",
    ],
    ["whole path elements only", [entry("a", prefix("/a"))], "/ab", undefined],
    ["a prefix with a slash at its end", [entry("a", prefix("/a/"))], "/a", "a"],
    ["the root for anything", [entry("root", prefix("/")), entry("other", exact("/b"))], "/c", "root"],
    ["no match at all", [entry("get", { method: "GET" })], "/a", undefined],
    ["a method before none", [entry("any", {}), entry("post", { method: "POST" })], "/a", "post"],
    [
      "regular expressions over the whole path",
      [entry("re", { path: { type: "RegularExpression", value: "/x.z" } })],
      "/xyz",
      "re",
    ],
    [
      "query parameters",
      [entry("any", {}), entry("query", { queryParams: [{ name: "a", value: "1" }] })],
      "/",
      "query",
    ],
    [
      "the older of equals",
      [entry("young", prefix("/a"), { created: "2026-02-01T00:00:00Z" }), entry("old", prefix("/a"))],
      "/a",
      "old",
    ],
    ["the first by name of equals of one age", [entry("b", prefix("/a")), entry("a", prefix("/a"))], "/a", "a"],
    [
      "the most specific hostname",
      [
        entry("any", exact("/a")),
        entry("wild", exact("/a"), { hostnames: ["*.test"] }),
        entry("host", prefix("/"), { hostnames: ["h.test"] }),
      ],
      "/a",
      "host",
      "h.test",
    ],
  ])("%s", (_title, entries, path, wanted, host = "h") => expect(winner(entries, path, {}, host)).toBe(wanted));

  test("a model name in a header decides between equal paths", () => {
    const header = { name: "X-Gateway-Model-Name", value: "m" };
    const entries = [entry("plain", exact("/v1")), entry("model", { ...exact("/v1"), headers: [header] })];
    expect(winner(entries, "/v1", { "x-gateway-model-name": "m" })).toBe("model");
    expect(winner(entries, "/v1", { "x-gateway-model-name": "n" })).toBe("plain");
  });
});

describe("paths", () => {
  test.each([
    ["/ns/n/v1/models", "/ns/n", "/", "/v1/models"],
    ["/ns/n", "/ns/n", "/", "/"],
    ["/ns/n/", "/ns/n", "/", "/"],
    ["/a/b", "/a", "/x", "/x/b"],
    ["/a/b", "/a/", "/x/", "/x/b"],
    ["/b", "/", "/x", "/x/b"],
  ])("%s with prefix %s replaced by %s is %s", (path, match, replacePrefixMatch, wanted) =>
    expect(rewritePath(path, match, { type: "ReplacePrefixMatch", replacePrefixMatch })).toBe(wanted),
  );

  test("a full path replaces everything", () => {
    const filters = [{ type: "URLRewrite", urlRewrite: { hostname: "h2", path: { replaceFullPath: "/z" } } }];
    const rewritten = applyFilters({ entry: { ...entry("a", {}), rule: { filters } }, prefix: "/" }, "/a");
    expect(rewritten).toMatchObject({ path: "/z", host: "h2" });
  });
});

test.each([
  ["*.a.test", "x.a.test", true],
  ["*.a.test", "a.test", false],
  ["a.test", "a.test", true],
])("hostname %s covers %s: %s", (pattern, host, wanted) => expect(hostMatches(pattern, host)).toBe(wanted));

test.each([
  ["0s", undefined],
  ["1m30s", 90_000],
  ["250ms", 250],
  ["soon", undefined],
])("duration %s is %s ms", (text, wanted) => expect(durationMs(text)).toBe(wanted));
