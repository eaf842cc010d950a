import { describe, expect, test } from "@jest/globals";
import { objectAt } from "../../crds/json.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { withLocalModel } from "./local-models.ts";

const KEY = "internal.serving.kserve.io/localmodel";

const service = (uri: string, metadata: JsonObject = {}): JsonObject => ({
  metadata: { name: "s", ...metadata },
  spec: { model: { uri } },
});
const cache = (
  name: string,
  sourceModelUri: string,
  nodeGroups: string[] = ["gpu"],
  namespace?: string,
): JsonObject => ({
  metadata: namespace === undefined ? { name } : { name, namespace },
  spec: { sourceModelUri, nodeGroups },
});
const marks = (object: JsonObject): JsonObject => ({
  ...objectAt(object, "metadata", "labels"),
  ...objectAt(object, "metadata", "annotations"),
});
const found = (name: string, source: string, group = "gpu"): JsonObject => ({
  [KEY]: name,
  [`${KEY}-sourceuri`]: source,
  [`${KEY}-pvc-name`]: `${name}-${group}`,
});

const LLAMA = "hf://meta/llama";
const caches = [
  cache("own", `${LLAMA}/own`, ["cpu", "gpu"], "ns"),
  cache("llama", `${LLAMA}/`),
  cache("other", "hf://meta/lla"),
  cache("late", LLAMA, ["tpu"]),
];

describe("a service is marked with the cache that holds its model", () => {
  test.each<[string, JsonObject, JsonObject]>([
    ["by its URI", service(LLAMA), found("llama", `${LLAMA}/`)],
    ["whatever slash it ends with", service(`${LLAMA}/`), found("llama", `${LLAMA}/`)],
    ["or that of what lies above it", service(`${LLAMA}/8b`), found("llama", `${LLAMA}/`)],
    [
      "those of its namespace first",
      service(`${LLAMA}/own/x`),
      { ...found("own", `${LLAMA}/own`, "cpu"), [`${KEY}-namespace`]: "ns" },
    ],
    [
      "on the node group that it asks for",
      service(LLAMA, { annotations: { "serving.kserve.io/nodegroup": "tpu" } }),
      { ...found("late", LLAMA, "tpu"), "serving.kserve.io/nodegroup": "tpu" },
    ],
    [
      "on no other one",
      service(LLAMA, { annotations: { "serving.kserve.io/nodegroup": "x" } }),
      { "serving.kserve.io/nodegroup": "x" },
    ],
    [
      "unless it wants none",
      service(LLAMA, { labels: { [KEY]: "llama" }, annotations: { "serving.kserve.io/disable-localmodel": "" } }),
      { "serving.kserve.io/disable-localmodel": "" },
    ],
    ["a name that only begins alike is another", service("hf://meta/llamas"), {}],
  ])("%s", (_what, given, expected) => expect(marks(withLocalModel(given, caches))).toEqual(expected));

  test("marks of a cache that is gone go, and empty maps with them", () => {
    const stale = service(LLAMA, {
      labels: { [KEY]: "gone", [`${KEY}-namespace`]: "ns" },
      annotations: { [`${KEY}-sourceuri`]: "u", [`${KEY}-pvc-name`]: "c" },
    });
    expect(withLocalModel(stale, [])).toEqual(service(LLAMA));
  });

  test("what is marked already stays as it is", () => {
    const marked = withLocalModel(service(LLAMA), caches);
    expect(withLocalModel(marked, caches)).toBe(marked);
  });
});
