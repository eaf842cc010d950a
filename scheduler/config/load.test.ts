import { expect, test } from "@jest/globals";
import { listShared, readShared } from "../../test/corpus.ts";
import { loadConfig } from "./load.ts";
import { validateEndpointPickerConfig } from "./validate.ts";

test("nothing means the default configuration", () => {
  const { config } = loadConfig(undefined);
  expect(config?.handler).toBe("single-profile-handler");
  expect(config?.profiles[0]?.plugins.map(({ plugin, weight }) => [plugin, weight])).toEqual([
    ["queue-scorer", 2],
    ["kv-cache-utilization-scorer", 2],
    ["prefix-cache-scorer", 3],
    ["max-score-picker", 1],
  ]);
});

test.each(listShared("corpus/epp-configs/controller-defaults", ".yaml"))("%s loads", (path) => {
  expect(validateEndpointPickerConfig(readShared(path)).errors).toEqual([]);
});

test("tells all errors at once, with the likely intended name", () => {
  const { errors } = validateEndpointPickerConfig({
    apiVersion: "llm-d.ai/v1alpha1",
    kind: "EndpointPickerConfig",
    plugins: [{ type: "queue-scorrer" }],
    schedulingProfiles: [{ name: "p", plugins: [{ pluginRef: "else" }] }],
    profils: [],
  });
  expect(errors.map(({ path }) => path)).toEqual(
    expect.arrayContaining(["profils", "plugins[0].type", "schedulingProfiles[0].plugins[0].pluginRef"]),
  );
  expect(errors.find(({ path }) => path === "plugins[0].type")?.remedy).toContain("queue-scorer");
});
