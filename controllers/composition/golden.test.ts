import { describe, expect, test } from "@jest/globals";
import type { Json } from "../../crds/schema/types.ts";
import { parseYaml, parseYamlDocuments } from "../../kube/yaml.ts";
import { composeInput, configOf, serviceOf } from "../../test/composition.ts";
import { listShared, readShared } from "../../test/corpus.ts";
import { stringMapOf } from "../json-edit.ts";
import { compose } from "./compose.ts";
import { at, listAt, objectAt, stringAt } from "./json.ts";
import type { ConfigData } from "./types.ts";

const NAMESPACE = "NS";
const ROOT = "corpus/golden/";

const isKind = (object: Json, kind: string): boolean => stringAt(object, "kind") === kind;

/** ConfigMaps that were applied together with the recorded objects. */
function configMapsOf(path: string): Readonly<Record<string, ConfigData>> {
  const manifest = readShared(path.replace(ROOT, "corpus/manifests/"));
  const maps = parseYamlDocuments(manifest).filter((document) => isKind(document, "ConfigMap"));
  return Object.fromEntries(
    maps.map((map) => [`${NAMESPACE}/${stringAt(map, "metadata", "name")}`, { data: stringMapOf(at(map, "data")) }]),
  );
}

/** The recording had a ConfigMap in the operator's namespace that its files do not hold. */
const FOREIGN_CONFIG_MAP = "r-managed__s-with-configmap-ref__w-llmd-simulator.yaml";

const FILES = listShared(ROOT, ".yaml")
  .map((path) => ({ path, stored: listAt(parseYaml(readShared(path)) as Json, "stored") }))
  .filter(({ path }) => !path.endsWith(FOREIGN_CONFIG_MAP))
  .filter(({ stored }) => stored.some((object) => isKind(object, "LLMInferenceService")));

describe("presets and verdicts of a recorded KServe controller", () => {
  test.each(FILES.map(({ path, stored }) => [path.slice(ROOT.length), stored] as const))("%s", (path, stored) => {
    const configs = stored
      .filter((object) => isKind(object, "LLMInferenceServiceConfig"))
      .map((object) => configOf(object, NAMESPACE));
    for (const service of stored.filter((object) => isKind(object, "LLMInferenceService"))) {
      const result = compose(
        composeInput(serviceOf(service, NAMESPACE), { configs, configMaps: configMapsOf(`${ROOT}${path}`) }),
      );
      expect(result.statusAnnotations).toEqual(objectAt(service, "status", "annotations"));
      const recorded = listAt(service, "status", "conditions").find((item) => at(item, "type") === "PresetsCombined");
      expect(result.kind).toBe(at(recorded, "status") === "True" ? "composed" : "failed");
      expect(result.appliedConfigs).toEqual(listAt(service, "status", "appliedConfigs"));
      if (result.kind === "failed") {
        expect(result.reason).toBe(at(recorded, "reason"));
        expect(result.message).toContain(at(recorded, "message"));
      }
    }
  });
});
