import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { decodeFields, encodeFields, fieldsOf, pathsOf } from "./field-set.ts";
import { applyConfiguration, recordUpdate } from "./managed-fields.ts";
import { at, equalJson, listOf, objectOf, scalarText } from "./objects.ts";

const SCHEMA: JsonSchema = {
  type: "object",
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { type: "object" },
    spec: {
      type: "object",
      properties: {
        size: { type: "integer" },
        color: { type: "string" },
        tags: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
        args: { type: "array", items: { type: "string" } },
        selector: { type: "object", additionalProperties: { type: "string" }, "x-kubernetes-map-type": "atomic" },
        ports: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["port", "protocol"],
          items: {
            type: "object",
            properties: {
              port: { type: "integer" },
              protocol: { type: "string", default: "TCP" },
              name: { type: "string" },
            },
          },
        },
      },
    },
  },
};

const widget = (spec: JsonObject, labels?: JsonObject): JsonObject => ({
  apiVersion: "example.com/v1",
  kind: "Widget",
  metadata: { name: "w", ...(labels === undefined ? {} : { labels }) },
  spec,
});
const writer = (manager: string, time = "2026-01-01T00:00:00Z") => ({
  manager,
  apiVersion: "example.com/v1",
  subresource: "",
  time,
});
const apply = (live: JsonObject | undefined, manager: string, config: JsonObject, force = false) =>
  applyConfiguration(live, config, SCHEMA, writer(manager), force);
const owners = (object: JsonObject): JsonObject =>
  Object.fromEntries(
    listOf(at(object, "metadata", "managedFields")).map((entry) => [
      `${scalarText(at(entry, "operation"))} ${scalarText(at(entry, "manager"))}`,
      pathsOf(decodeFields(at(entry, "fieldsV1"))),
    ]),
  );

describe("server-side apply", () => {
  test("owns leaves, list-map elements, set values, and atomic values as a whole", () => {
    const spec = {
      size: 1,
      tags: ["a"],
      args: ["x", "y"],
      selector: { app: "w" },
      ports: [{ port: 80, name: "http" }],
    };
    expect(owners(apply(undefined, "a", widget(spec, { l: "1" })))).toEqual({
      "Apply a": [
        ".metadata.labels.l",
        ".spec.args",
        ".spec.selector",
        ".spec.size",
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].name',
        '.spec.ports[port=80,protocol="TCP"].port',
        '.spec.tags[="a"]',
      ],
    });
  });

  test("fields that are no longer applied go, unless somebody else owns them", () => {
    const first = apply(undefined, "a", widget({ size: 1, color: "red", ports: [{ port: 80 }, { port: 81 }] }));
    const shared = apply(first, "b", widget({ color: "red" }));
    const second = apply(shared, "a", widget({ size: 1, ports: [{ port: 81 }] }));
    expect(second["spec"]).toEqual({ size: 1, color: "red", ports: [{ port: 81 }] });
    expect(apply(second, "b", widget({}))["spec"]).toEqual({ size: 1, ports: [{ port: 81 }] });
  });

  test("another manager's value is a conflict that names the field; force takes it over", () => {
    const live = apply(undefined, "a", widget({ size: 1, color: "red" }));
    expect(() => apply(live, "b", widget({ size: 2, color: "red" }))).toThrow(
      expect.objectContaining({ code: 409, message: 'Apply failed with 1 conflict: conflict with "a": .spec.size' }),
    );
    const forced = apply(live, "b", widget({ size: 2 }), true);
    expect(forced["spec"]).toEqual({ size: 2, color: "red" });
    expect(owners(forced)).toEqual({ "Apply a": [".spec.color"], "Apply b": [".spec.size"] });
  });

  test.each([
    ["new ones stand where the applied list has them", ["x", "y"], ["z", "x"], ["z", "x", "y"]],
    ["the applied list reorders", ["x", "y", "z"], ["z", "x", "y"], ["z", "x", "y"]],
    ["those of others keep their places", ["other", "x", "y"], ["y", "x"], ["other", "y", "x"]],
    ["between elements of both, too", ["x", "other", "y"], ["x", "new", "y"], ["x", "other", "new", "y"]],
  ])("elements of a set merge: %s", (_what, before, applied, after) => {
    const live = apply(undefined, "a", widget({ tags: before }));
    expect(objectOf(apply(live, "b", widget({ tags: applied }))["spec"])["tags"]).toEqual(after);
  });

  test("elements of a list map merge by their keys", () => {
    const live = apply(undefined, "a", widget({ ports: [{ port: 1 }, { port: 2 }] }));
    const merged = apply(live, "b", widget({ ports: [{ port: 2, name: "two" }, { port: 3 }] }));
    expect(merged["spec"]).toEqual({ ports: [{ port: 1 }, { port: 2, name: "two" }, { port: 3 }] });
  });

  test("applying the same again changes nothing, whatever the object", () => {
    const specs = fc.record(
      {
        size: fc.integer(),
        color: fc.string(),
        tags: fc.uniqueArray(fc.string()),
        ports: fc.uniqueArray(fc.record({ port: fc.integer({ min: 1, max: 9 }) }), { selector: ({ port }) => port }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(specs, specs, (mine, other) => {
        const live = apply(apply(undefined, "a", widget(mine)), "b", widget(other), true);
        const again = applyConfiguration(live, widget(other), SCHEMA, writer("b", "2027-01-01T00:00:00Z"), false);
        expect(equalJson(again, live)).toBe(true);
      }),
    );
  });
});

describe("ordinary writes", () => {
  test("own what they change and take it from appliers; what is gone belongs to nobody", () => {
    const live = apply(undefined, "a", widget({ size: 1, color: "red" }));
    const next = structuredClone(live);
    next["spec"] = { size: 2 };
    recordUpdate(live, next, SCHEMA, writer("kubectl-edit"));
    expect(owners(next)).toEqual({ "Update kubectl-edit": [".spec.size"] });
  });

  test("the server's own fields belong to nobody", () => {
    const object = { ...widget({ size: 1 }), metadata: { name: "w", uid: "u", generation: 1, labels: { a: "b" } } };
    recordUpdate({ metadata: {} }, object, SCHEMA, writer("m"));
    expect(owners(object)).toEqual({ "Update m": [".spec", ".metadata.labels", ".metadata.labels.a", ".spec.size"] });
  });
});

test("FieldsV1 survives reading and writing", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const set = fieldsOf(JSON.parse(JSON.stringify(value)), undefined);
      expect(encodeFields(decodeFields(encodeFields(set)))).toEqual(encodeFields(set));
    }),
  );
});
