import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { endToEnd, headerValues, withHeaders } from "./http/headers.ts";
import { rankOf, readRouting } from "./routing.ts";
import { hostPortText, parseHostPort } from "./wire.ts";

describe("routing headers", () => {
  const host = (name: string, port: number) => ({ host: name, port });
  test.each([
    [["x-prefiller-host-port", "10.0.0.1:8000"], [host("10.0.0.1", 8000)]],
    [["X-Prefiller-Host-Port", "http://10.0.0.1:8000"], [host("10.0.0.1", 8000)]],
    [
      ["x-prefiller-host-port", "a:1, b:2"],
      [host("a", 1), host("b", 2)],
    ],
    [
      ["x-prefiller-host-port", "a:1", "x-prefiller-host-port", "b:2"],
      [host("a", 1), host("b", 2)],
    ],
    [["x-prefiller-host-port", "[fd00::1]:8000"], [host("fd00::1", 8000)]],
    [["x-prefiller-host-port", ""], []],
    [["x-prefiller-host-port", "a:99999"], []],
    [["x-prefiller-host-port", "a:1/path@evil"], []],
  ])("%j", (raw, expected) => {
    expect(readRouting(raw).prefill).toEqual(expected);
  });

  test("addresses are written as they are read", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("pod-0", "a.b")),
        fc.integer({ min: 1, max: 65_535 }),
        (name, port) => {
          const text = hostPortText({ host: name, port });
          expect(parseHostPort(text)).toEqual({ host: name.toLowerCase(), port });
        },
      ),
    );
  });
});

describe("data-parallel ranks", () => {
  const pod = { port: 8000, dataParallelSize: 2, podIp: "10.0.0.1" };
  test.each([
    [undefined, pod, 0],
    [{ host: "10.0.0.1", port: 8001 }, pod, 1],
    [{ host: "10.0.0.1", port: 8000 }, pod, 0],
    [{ host: "10.0.0.9", port: 8001 }, { ...pod, podIp: undefined }, 1],
    [{ host: "10.0.0.9", port: 9 }, { ...pod, dataParallelSize: 1 }, 0],
  ])("%j", (named, options, expected) => {
    expect(rankOf(named, options)).toBe(expected);
  });

  test.each([
    [{ host: "10.0.0.9", port: 8001 }],
    [{ host: "10.0.0.1", port: 8002 }],
    [{ host: "10.0.0.1", port: 7999 }],
  ])("%j is refused", (named) => {
    expect(() => rankOf(named, pod)).toThrow(/names no rank of this pod/);
  });
});

test("headers that end here are left out, and others set once", () => {
  const raw = ["Connection", "keep-alive, X-Hop", "X-Hop", "1", "TE", "trailers", "A", "1", "a", "2", "Upgrade", "h2c"];
  expect(endToEnd(raw)).toEqual(["A", "1", "a", "2"]);
  expect(withHeaders(["A", "1", "a", "2", "B", "3"], { a: "9", b: undefined })).toEqual(["a", "9"]);
  expect(headerValues(["A", "1", "a", "2"], "a")).toEqual(["1", "2"]);
});
