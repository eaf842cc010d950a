import { describe, expect, test } from "@jest/globals";
import { isObject, listAt, textAt } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { type KubeObject, keyOf } from "../../kube/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { SYSTEM_NAMESPACE } from "../../test/composition.ts";
import { listShared, readShared } from "../../test/corpus.ts";
import { wellKnownConfigs } from "../composition/presets.ts";
import { configStatus } from "./status.ts";
import { ConfigUsage } from "./usage.ts";

const PRESETS = new Set(wellKnownConfigs({}).map(({ metadata }) => metadata.name));

const usageOf = (configs: readonly KubeObject[]): ConfigUsage =>
  new ConfigUsage({
    systemNamespace: SYSTEM_NAMESPACE,
    presetNames: PRESETS,
    exists: (key) => configs.some(({ metadata }) => keyOf(metadata) === keyOf(key)),
  });

const config = (namespace: string, name: string): KubeObject => ({
  apiVersion: "serving.kserve.io/v1alpha2",
  kind: "LLMInferenceServiceConfig",
  metadata: { namespace, name, generation: 1 },
});
const service = (namespace: string, name: string, ...bases: readonly string[]): KubeObject =>
  ({
    ...config(namespace, name),
    kind: "LLMInferenceService",
    spec: { baseRefs: bases.map((base) => ({ name: base })) },
  }) as KubeObject;

describe("users of a config", () => {
  test("are the services of its namespace that name it, and for the operator's those that have no other", () => {
    const usage = usageOf([config("a", "base"), config(SYSTEM_NAMESPACE, "base")]);
    usage.update({ type: "added", object: service("a", "one", "base") });
    usage.update({ type: "added", object: service("b", "two", "base") });
    expect(usage.usersOf({ namespace: "a", name: "base" })).toEqual(["a/one"]);
    expect(usage.usersOf({ namespace: SYSTEM_NAMESPACE, name: "base" })).toEqual(["b/two"]);
  });

  test("come and go with the services, and the configs concerned are told", () => {
    const usage = usageOf([]);
    const [before, after] = [service("a", "s", "x"), service("a", "s", "y")];
    usage.update({ type: "added", object: before });
    const told = usage.update({ type: "updated", previous: before, object: after });
    expect(told.map(keyOf)).toEqual(["a/x", "kserve/x", "a/y", "kserve/y"]);
    expect(usage.usersOf({ namespace: "a", name: "x" })).toEqual([]);
    expect(usage.usersOf({ namespace: "a", name: "y" })).toEqual(["a/s"]);
    expect(usage.update({ type: "updated", previous: after, object: after })).toEqual([]);
    usage.update({ type: "deleted", object: after });
    expect(usage.usersOf({ namespace: "a", name: "y" })).toEqual([]);
  });

  test("of one that stands in for a preset are all services of its namespace", () => {
    const usage = usageOf([config("a", "kserve-config-llm-template")]);
    const told = usage.update({ type: "added", object: service("a", "s") });
    expect(told.map(keyOf)).toEqual(["a/kserve-config-llm-template"]);
    expect(usage.usersOf({ namespace: "a", name: "kserve-config-llm-template" })).toEqual(["a/s"]);
  });
});

describe("status", () => {
  test("names at most a hundred users, and keeps the time of a condition that stays", () => {
    const users = Array.from({ length: 150 }, (_, index) => `a/s${index}`);
    const first = configStatus(config("a", "base"), users, 0);
    expect(listAt(first, "referencedBy")).toHaveLength(100);
    const again = configStatus({ ...config("a", "base"), status: first } as KubeObject, users, 60_000);
    expect(again).toEqual(first);
    const changed = configStatus({ ...config("a", "base"), status: first } as KubeObject, [], 60_000);
    expect(listAt(changed, "conditions").map((entry) => textAt(entry, "lastTransitionTime"))).toEqual([
      "1970-01-01T00:01:00Z",
      "1970-01-01T00:00:00Z",
    ]);
  });

  const ROOT = "corpus/golden/";
  const files = listShared(ROOT, ".yaml").map((path) => {
    const stored = listAt(parseYaml(readShared(path)) as Json, "stored").filter(isObject);
    return [path.slice(ROOT.length), stored] as const;
  });
  const untimed = (status: JsonObject): unknown =>
    JSON.parse(
      JSON.stringify(status, (key, value: unknown) =>
        key === "lastTransitionTime" || key === "observedGeneration" ? undefined : value,
      ),
    );

  test.each(files)("%s: as a recorded KServe tells it", (_path, stored) => {
    const objects = stored as unknown as readonly KubeObject[];
    const configs = objects.filter(({ kind }) => kind === "LLMInferenceServiceConfig");
    const usage = usageOf(configs);
    for (const object of objects) if (object.kind === "LLMInferenceService") usage.update({ type: "added", object });
    // Some were recorded before the controller had seen them.
    for (const recorded of configs.filter((entry) => listAt(entry as never, "status", "conditions").length > 0)) {
      const status = configStatus(recorded, usage.usersOf(recorded.metadata), 0);
      expect(untimed(status)).toEqual(untimed(recorded["status"] as JsonObject));
    }
  });
});
