import { describe, expect, test } from "@jest/globals";
import { at, listAt, objectAt } from "../../crds/json.ts";
import type { Json } from "../../crds/schema/types.ts";
import { composed, demo, failed } from "../../test/composition.ts";
import { managedDevices } from "./managed-devices.ts";

describe("managed devices", () => {
  const annotate = (more: Json = {}): Json => ({ "serving.kserve.io/exp-dra-device-class": "gpu", ...objectAt(more) });
  const claims = (pod: Json | undefined): Json[] =>
    listAt(pod, "resourceClaims").map((claim) => at(claim, "name") ?? null);

  test("are claimed by every pod and used by the server, not by a sidecar", () => {
    const { spec } = composed(demo("{prefill: {}, template: {containers: [{name: side}]}}", annotate()));
    expect(claims(at(spec, "template"))).toEqual(["managed-device"]);
    expect(claims(at(spec, "prefill", "template"))).toEqual(["managed-device"]);
    const users = listAt(spec, "template", "containers").map((item) => listAt(item, "resources", "claims").length);
    expect(users).toEqual([0, 1]);
    expect(listAt(spec, "template", "resourceClaims")).toEqual([
      { name: "managed-device", resourceClaimTemplateName: "demo-managed-dra" },
    ]);
  });

  test("blanks around values do not count, nor does a blank number", () => {
    const more = {
      "serving.kserve.io/exp-dra-device-class": " gpu ",
      "serving.kserve.io/exp-dra-device-count": " ",
      "serving.kserve.io/exp-dra-container-name": " side ",
      "serving.kserve.io/exp-dra-cel-selector": "\n  a == b \n\n",
    };
    expect(managedDevices(more)).toEqual({ deviceClass: "gpu", count: 1, container: "side", selectors: ["a == b"] });
    expect(claims(at(composed(demo("{}", more)).spec, "template"))).toEqual(["managed-device"]);
  });

  test("need a positive number", () => {
    const count = { "serving.kserve.io/exp-dra-device-count": "two" };
    expect(failed(demo("{}", annotate(count))).message).toContain('"two" must be a positive integer');
  });
});
