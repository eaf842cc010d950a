import fc from "fast-check";
import { KINDS, type Kind } from "./kinds.ts";
import type { Json, JsonObject, Scenario, Step } from "./step.ts";

const NAMES = ["one", "two", "three"] as const;
const MANAGERS = ["alice", "bob", "carol"] as const;
const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
const LABELS: readonly JsonObject[] = [{ app: "a" }, { app: "b", tier: "x" }, { tier: "y" }, {}];

const one = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });

/** Query of a write. */
const writeQuery: fc.Arbitrary<Record<string, string>> = fc
  .record({
    dryRun: fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant("All") }),
    fieldValidation: one(undefined, undefined, "Strict", "Warn", "Ignore"),
    fieldManager: one(undefined, ...MANAGERS),
  })
  .map(given);

function given(record: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Metadata of an object: mostly good. */
const metadata = (name: string): fc.Arbitrary<JsonObject> =>
  fc
    .record({
      labels: maybe(one(...LABELS)),
      annotations: maybe(one<JsonObject>({ note: "x" }, { note: "y", more: "z" })),
      finalizers: fc.oneof(
        { weight: 6, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.constant<Json>(["example.com/hold"]) },
      ),
    })
    .map((rest) => JSON.parse(JSON.stringify({ name, ...rest })) as JsonObject);

const object = (kind: Kind, name: string): fc.Arbitrary<JsonObject> =>
  fc
    .tuple(metadata(name), one(...kind.contents))
    .map(([meta, content]) => ({ apiVersion: kind.apiVersion, kind: kind.kind, metadata: meta, ...content }));

/** An object with one thing wrong or odd about it. */
const oddObject = (kind: Kind): fc.Arbitrary<JsonObject> =>
  fc.tuple(object(kind, "odd"), fc.integer({ min: 0, max: 9 })).map(([good, index]) => {
    const meta = good["metadata"] as JsonObject;
    const odd: readonly JsonObject[] = [
      { ...good, metadata: { ...meta, name: "Bad_Name" } },
      { ...good, metadata: { labels: {} } },
      { ...good, metadata: { generateName: "made-" } },
      { ...good, metadata: { ...meta, namespace: "elsewhere" } },
      { ...good, kind: "Other" },
      { ...good, apiVersion: "v9" },
      { ...good, metadata: { ...meta, labels: { "bad label!": "x" } } },
      { ...good, metadata: { ...meta, resourceVersion: "5" } },
      { ...good, metadata: { ...meta, finalizers: ["nodomain"] } },
      { ...good, metadata: { ...meta, unknownMeta: 1 }, unknownField: { deep: true } },
    ];
    return odd[index]!;
  });

type Make = (kind: Kind, name: string) => fc.Arbitrary<Step>;

const at = (kind: Kind, name: string): string => `${kind.path}/${name}`;
const step = (kind: Kind, verb: string, rest: Omit<Step, "label">): Step => ({
  label: `${verb} ${kind.plural}`,
  ...rest,
});

const create: Make = (kind, name) =>
  fc
    .tuple(object(kind, name), writeQuery)
    .map(([body, query]) => step(kind, "create", { method: "POST", path: kind.path, body, query }));

const createOdd: Make = (kind) =>
  fc
    .tuple(oddObject(kind), writeQuery)
    .map(([body, query]) => step(kind, "create odd", { method: "POST", path: kind.path, body, query }));

const get: Make = (kind, name) =>
  one("application/json", "application/json", METADATA, TABLE, "application/yaml", "text/html").map((accept) =>
    step(kind, accept === "application/json" ? "get" : `get as ${accept.split(";")[1] ?? accept}`, {
      method: "GET",
      path: at(kind, name),
      accept,
    }),
  );

const list: Make = (kind) =>
  fc
    .record({
      accept: one("application/json", "application/json", TABLE, METADATA_LIST),
      labelSelector: one(
        undefined,
        undefined,
        "app=a",
        "app!=a",
        "app in (a,b)",
        "tier",
        "!tier",
        "app notin (a)",
        "a=b=c",
        "x in ()",
      ),
      fieldSelector: one(
        undefined,
        undefined,
        undefined,
        "metadata.name=one",
        "metadata.name!=one",
        "spec.nothing=1",
        "bad",
      ),
      limit: one(undefined, undefined, "1", "2", "x"),
    })
    .map(({ accept, ...query }) =>
      step(kind, accept === "application/json" ? "list" : `list as ${accept.split(";")[1]}`, {
        method: "GET",
        path: kind.path,
        accept,
        query: given(query),
      }),
    );

const update: Make = (kind, name) =>
  fc
    .tuple(object(kind, name), writeQuery, one(undefined, "last", "first"), one(...kind.changes, {}, {}))
    .map(([body, query, which, change]) =>
      step(kind, "update", {
        method: "PUT",
        path: at(kind, name),
        body: merged(body, change),
        query,
        ...(which === undefined ? {} : { version: { of: at(kind, name), which: which as "last" | "first" } }),
      }),
    );

/** JSON merge patch (RFC 7386). */
function merged(base: JsonObject, patch: JsonObject): JsonObject {
  const result: Record<string, Json> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    const old = result[key];
    if (value === null) delete result[key];
    else if (isObject(value)) result[key] = merged(isObject(old) ? old : {}, value);
    else result[key] = value;
  }
  return result;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const META_CHANGES: readonly JsonObject[] = [
  { metadata: { labels: { app: "c" } } },
  { metadata: { labels: { app: null } } },
  { metadata: { annotations: { note: "changed" } } },
  { metadata: { finalizers: null } },
  { metadata: { finalizers: ["example.com/hold"] } },
  { metadata: { name: "renamed" } },
  { metadata: { labels: { "bad label!": "x" } } },
  { metadata: { generation: 77 } },
];

const mergePatch: Make = (kind, name) =>
  fc.tuple(one(...kind.changes, ...META_CHANGES), writeQuery).map(([body, query]) =>
    step(kind, "merge patch", {
      method: "PATCH",
      path: at(kind, name),
      body,
      query,
      contentType: "application/merge-patch+json",
    }),
  );

const strategicPatch: Make = (kind, name) =>
  fc.tuple(one(...kind.changes, ...META_CHANGES), writeQuery).map(([body, query]) =>
    step(kind, "strategic patch", {
      method: "PATCH",
      path: at(kind, name),
      body,
      query,
      contentType: "application/strategic-merge-patch+json",
    }),
  );

const OPERATIONS: readonly Json[] = [
  [{ op: "add", path: "/metadata/labels", value: { json: "patch" } }],
  [{ op: "replace", path: "/metadata/labels/app", value: "z" }],
  [{ op: "remove", path: "/metadata/annotations" }],
  [{ op: "test", path: "/metadata/name", value: "one" }],
  [{ op: "test", path: "/metadata/name", value: "nobody" }],
  [
    { op: "add", path: "/metadata/annotations", value: {} },
    { op: "add", path: "/metadata/annotations/a~1b", value: "c" },
  ],
  [{ op: "move", from: "/metadata/labels/app", path: "/metadata/labels/moved" }],
  [{ op: "copy", from: "/metadata/name", path: "/metadata/annotations/copied" }],
  [{ op: "jump", path: "/metadata" }],
  [{ op: "remove", path: "/nothing/here" }],
  { not: "a list" },
  [],
];

const jsonPatch: Make = (kind, name) =>
  fc.tuple(one(...OPERATIONS), writeQuery).map(([body, query]) =>
    step(kind, "json patch", {
      method: "PATCH",
      path: at(kind, name),
      body,
      query,
      contentType: "application/json-patch+json",
    }),
  );

const apply: Make = (kind, name) =>
  fc
    .tuple(
      object(kind, name),
      one(...MANAGERS),
      one(undefined, undefined, "true"),
      one(...kind.changes, {}, {}, {}),
      writeQuery,
    )
    .map(([body, fieldManager, force, change, query]) =>
      step(kind, "apply", {
        method: "PATCH",
        path: at(kind, name),
        body: merged(body, change),
        query: given({ ...query, fieldManager, force }),
        contentType: "application/apply-patch+yaml",
      }),
    );

const applyOdd: Make = (kind, name) =>
  fc.tuple(object(kind, name), fc.integer({ min: 0, max: 3 })).map(([body, index]) => {
    const meta = body["metadata"] as JsonObject;
    const odd: readonly [JsonObject, Record<string, string>][] = [
      [body, {}],
      [{ ...body, metadata: { ...meta, managedFields: [] } }, { fieldManager: "alice" }],
      [{ ...body, kind: "Other" }, { fieldManager: "alice" }],
      [{ ...body, metadata: { ...meta, name: "different" } }, { fieldManager: "alice" }],
    ];
    const [sent, query] = odd[index]!;
    return step(kind, "apply odd", {
      method: "PATCH",
      path: at(kind, name),
      body: sent,
      query,
      contentType: "application/apply-patch+yaml",
    });
  });

const remove: Make = (kind, name) =>
  fc
    .record({
      gracePeriodSeconds: one(undefined, undefined, 0),
      propagationPolicy: one(undefined, "Background", "Orphan", "Foreground", "Nonsense"),
      dryRun: one(undefined, undefined, undefined, ["All"]),
      uid: one(false, false, false, true),
    })
    .map(({ uid, ...options }) =>
      step(kind, "delete", {
        method: "DELETE",
        path: at(kind, name),
        body: JSON.parse(JSON.stringify({ apiVersion: "v1", kind: "DeleteOptions", ...options })) as JsonObject,
        ...(uid ? { uid: { of: at(kind, name), at: "preconditions" as const } } : {}),
      }),
    );

const removeMany: Make = (kind) =>
  one<Record<string, string>>({}, { labelSelector: "app=a" }, { labelSelector: "tier" }).map((query) =>
    step(kind, "delete collection", { method: "DELETE", path: kind.path, query }),
  );

const status: Make = (kind, name) => {
  const path = `${at(kind, name)}/status`;
  const steps: Step[] = [
    step(kind, "get status", { method: "GET", path }),
    step(kind, "patch status", {
      method: "PATCH",
      path,
      body: { status: kind.status ?? {}, metadata: { labels: { from: "status" } } },
      contentType: "application/merge-patch+json",
    }),
    step(kind, "apply status", {
      method: "PATCH",
      path,
      query: { fieldManager: "bob", force: "true" },
      body: { apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name }, status: kind.status ?? {} },
      contentType: "application/apply-patch+yaml",
    }),
  ];
  return one(...steps);
};

const scale: Make = (kind, name) => {
  const path = `${at(kind, name)}/scale`;
  const body = (replicas: Json): JsonObject => ({
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: { name, namespace: "{ns}" },
    spec: { replicas },
  });
  const merge = "application/merge-patch+json";
  return one<Step>(
    step(kind, "get scale", { method: "GET", path }),
    step(kind, "update scale", { method: "PUT", path, body: body(4) }),
    step(kind, "update scale", { method: "PUT", path, body: body(-4) }),
    step(kind, "patch scale", { method: "PATCH", path, body: { spec: { replicas: 6 } }, contentType: merge }),
    step(kind, "patch scale", { method: "PATCH", path, body: { spec: { replicas: "x" } }, contentType: merge }),
  );
};

const oddRequest: Make = (kind, name) =>
  one<Step>(
    step(kind, "post to object", { method: "POST", path: at(kind, name), body: {} }),
    step(kind, "put to collection", { method: "PUT", path: kind.path, body: {} }),
    step(kind, "unknown sub-resource", { method: "GET", path: `${at(kind, name)}/nothing` }),
    step(kind, "body that is no JSON", { method: "POST", path: kind.path, body: "{not json" }),
    step(kind, "unknown media type", { method: "POST", path: kind.path, body: "x", contentType: "text/plain" }),
    step(kind, "unknown patch type", {
      method: "PATCH",
      path: at(kind, name),
      body: {},
      contentType: "application/json",
    }),
    step(kind, "unknown namespace", {
      method: "POST",
      path: kind.path.replace("{ns}", "nowhere"),
      body: bare(kind, name),
    }),
    step(kind, "unknown kind", { method: "GET", path: `${kind.path}x` }),
    step(kind, "unknown version", { method: "GET", path: kind.path.replace("/v1/", "/v77/") }),
  );

const bare = (kind: Kind, name: string): JsonObject => ({
  apiVersion: kind.apiVersion,
  kind: kind.kind,
  metadata: { name },
  ...kind.contents[0],
});

function steps(kind: Kind): fc.Arbitrary<Step> {
  const weighted: readonly (readonly [number, Make])[] = [
    [4, create],
    [2, createOdd],
    [2, get],
    [2, list],
    [4, update],
    [4, mergePatch],
    [2, jsonPatch],
    [kind.strategic ? 4 : 1, strategicPatch],
    [6, apply],
    [1, applyOdd],
    [3, remove],
    [1, removeMany],
    [kind.status === undefined ? 0 : 2, status],
    [kind.scalable ? 2 : 0, scale],
    [1, oddRequest],
  ];
  return one(...NAMES).chain((name) =>
    fc.oneof(
      ...weighted.filter(([weight]) => weight > 0).map(([weight, make]) => ({ weight, arbitrary: make(kind, name) })),
    ),
  );
}

/**
 * Scenarios of requests over all kinds, the same for the same seed: each is about one kind, begins with an object, and ends
 * with a list and a watch of everything that happened.
 */
export function scenarios(seed: number, count: number, length: number): Scenario[] {
  return KINDS.flatMap((kind, index) => {
    const run = fc.tuple(create(kind, "one"), fc.array(steps(kind), { minLength: length, maxLength: length }));
    return fc.sample(run, { seed: seed + index, numRuns: count }).map(([first, rest], number) => ({
      namespace: `c-${kind.plural}-${number}`,
      steps: [
        { ...first, query: {} },
        ...rest,
        step(kind, "list", { method: "GET", path: kind.path }),
        step(kind, "watch", {
          method: "GET",
          path: kind.path,
          query: { watch: "true", timeoutSeconds: "1" },
          watch: true,
          since: at(kind, "one"),
        }),
      ],
    }));
  });
}
