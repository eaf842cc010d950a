import { describe, expect, test } from "@jest/globals";
import type { JsonObject } from "../../crds/schema/types.ts";
import { claimsSameDevices } from "./claim-template.ts";

const template = (exactly: JsonObject): JsonObject => ({
  spec: { spec: { devices: { requests: [{ name: "device", exactly }] } } },
});

describe("comparing claim templates", () => {
  const cel = [{ cel: { expression: "true" } }];

  test.each<readonly [string, JsonObject, JsonObject, boolean]>([
    [
      "defaults of the server",
      { deviceClassName: "a", allocationMode: "ExactCount", count: 1 },
      { deviceClassName: "a" },
      true,
    ],
    ["another class", { deviceClassName: "a" }, { deviceClassName: "b" }, false],
    ["fewer devices", { deviceClassName: "a", count: 2 }, { deviceClassName: "a" }, false],
    ["no selector any more", { deviceClassName: "a", selectors: cel }, { deviceClassName: "a" }, false],
    ["the same selector", { deviceClassName: "a", selectors: cel }, { deviceClassName: "a", selectors: cel }, true],
  ])("%s", (_name, live, wanted, same) => {
    expect(claimsSameDevices(template(live), template(wanted))).toBe(same);
  });
});
