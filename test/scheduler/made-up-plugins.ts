/** Plugin types that published loader tests make up, for tests to register. */
import { anything, integer, list, object, optional, text } from "../../scheduler/framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin, type PluginKind } from "../../scheduler/framework/plugin.ts";
import { PLUGINS } from "../../scheduler/plugins/registry.ts";

const threshold = object({ threshold: integer({ doc: "", default: 0 }) });
const blockSize = object({ blockSize: integer({ doc: "", default: 0 }) });

function madeUp(type: string, kinds: readonly PluginKind[], parameters = anything("")): AnyPluginDefinition {
  return definePlugin({ type, kinds, stability: "beta", description: "", parameters, create: () => ({}) });
}

const name = text({ doc: "", default: "" });
const dependent = object({
  dependency: name,
  pointedTo: name,
  nested: optional(object({ dependency: name })),
  nestedPtr: optional(object({ dependency: name })),
  extras: list(name, { doc: "" }),
});

function dependentType(type: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: [],
    stability: "beta",
    description: "",
    parameters: dependent,
    references: ({ dependency, pointedTo, nested, nestedPtr, extras }) =>
      [dependency, pointedTo, nested?.dependency ?? "", nestedPtr?.dependency ?? "", ...extras].flatMap((target) =>
        target === "" ? [] : [{ name: target, path: "dependency" }],
      ),
    create: () => ({}),
  });
}

const TYPES: readonly AnyPluginDefinition[] = [
  madeUp("test-one", ["filter"], threshold),
  madeUp("test-two", ["scorer"], blockSize),
  madeUp("test-plugin", ["filter"], threshold),
  madeUp("test-scorer", ["scorer"], blockSize),
  madeUp("test-picker", ["picker"]),
  madeUp("test-profile-handler", ["profile-handler"]),
  madeUp("test-source", ["data-source"]),
  madeUp("test-extractor", ["extractor"]),
  madeUp("test-order-filter", ["filter"]),
  madeUp("mock-metrics-source", ["data-source"]),
  dependentType("test-with-dependencies"),
  dependentType("test-with-nested-dependencies"),
];

/** The registry with the made-up types besides. */
export const WITH_MADE_UP = new Map([...PLUGINS, ...TYPES.map((definition) => [definition.type, definition] as const)]);

/** Gates that they make up. */
export const MADE_UP_GATES = ["test-feature-gate"];
