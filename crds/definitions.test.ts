import { describe, expect, test } from "@jest/globals";
import { parseYamlDocuments } from "../kube/yaml.ts";
import { listShared, readShared } from "../test/corpus.ts";
import { convert } from "./conversion.ts";
import { coreKinds } from "./core.ts";
import { VERSIONS, customResourceDefinitions } from "./definitions.ts";
import { foreignDefinitions } from "./foreign.ts";
import { at, isObject, listAt, textAt } from "./json.ts";
import { createStructural, type Structural } from "./schema/structural.ts";
import { formatFieldError, type Json, type JsonObject, type JsonSchema } from "./schema/types.ts";

const structurals = new Map<string, Structural>();
for (const crd of [...customResourceDefinitions(), ...foreignDefinitions()])
  for (const version of listAt(crd, "spec", "versions")) {
    const apiVersion = `${textAt(crd, "spec", "group")}/${textAt(version, "name")}`;
    const schema = at(version, "schema", "openAPIV3Schema") as unknown as JsonSchema;
    structurals.set(`${apiVersion}/${textAt(crd, "spec", "names", "kind")}`, createStructural(schema));
  }

const OURS = /^serving\.kserve\.io\/v1alpha[12]\/LLMInferenceService(Config)?$/;

/** Whether the recorded KServe took the whole file; where it refused one, ours may too. */
function accepted(path: string): boolean {
  const golden = path.replace("corpus/manifests", "corpus/golden");
  return !/^\s*-?\s*apply: (?!'?ok)/m.test(readShared(golden));
}

interface Published {
  readonly name: string;
  readonly object: JsonObject;
  readonly key: string;
}

const published: Published[] = listShared("corpus/manifests", ".yaml")
  .filter(accepted)
  .flatMap((path) =>
    parseYamlDocuments(readShared(path)).flatMap((object, index) => {
      if (!isObject(object as Json)) return [];
      const key = `${textAt(object as Json, "apiVersion")}/${textAt(object as Json, "kind")}`;
      return OURS.test(key) ? [{ name: `${path}#${index}`, object: object as JsonObject, key }] : [];
    }),
  );

/** Paths that the official schema has, with a PodSpec as one row. */
function officialPaths(kind: string, version: string): string[] {
  const [header = "", ...rows] = readShared(
    `reference/crds/fields/${kind}.${version}.kserve-main-2026-08-21.tsv`,
  ).split("\n");
  expect(header).toMatch(/^path\ttype/);
  return rows.map((row) => row.split("\t")[0] ?? "").filter((path) => path !== "");
}

function schemaAt(root: JsonSchema, path: string): JsonSchema | undefined {
  let current: JsonSchema | undefined = root;
  for (const step of path.split(".")) {
    const name = step.replaceAll("[]", "");
    if (current?.["x-kubernetes-preserve-unknown-fields"] === true && current.properties?.[name] === undefined)
      return current;
    current = current?.properties?.[name];
    for (let depth = step.split("[]").length - 1; depth > 0; depth--)
      current = current?.items ?? (isOpen(current) ? current : undefined);
  }
  return current;
}

const isOpen = (schema: JsonSchema | undefined): boolean => schema?.["x-kubernetes-preserve-unknown-fields"] === true;

describe("custom resource definitions", () => {
  test("there are published manifests to check", () => expect(published.length).toBeGreaterThan(100));

  test.each(
    ["llminferenceservice", "llminferenceserviceconfig"].flatMap((kind) => VERSIONS.map((version) => [kind, version])),
  )("every official field of %s %s is there", (kind = "", version = "") => {
    const crd = customResourceDefinitions().find((entry) => textAt(entry, "spec", "names", "singular") === kind);
    const entry = listAt(crd, "spec", "versions").find((candidate) => textAt(candidate, "name") === version);
    const root = at(entry, "schema", "openAPIV3Schema") as unknown as JsonSchema;
    const missing = officialPaths(kind, version).filter(
      (path) => !path.startsWith("status.") && path !== "status" && schemaAt(root, path) === undefined,
    );
    expect(missing).toEqual([]);
  });

  test.each(published)("$name passes, and nothing of it is pruned", ({ object, key }) => {
    const structural = structurals.get(key)!;
    const copy = structuredClone(object);
    expect(structural.prune(copy)).toEqual([]);
    expect(structural.validate(copy).map(formatFieldError)).toEqual([]);
  });

  test.each(published)("$name survives the way to the other version and back", ({ object, key }) => {
    const own = textAt(object, "apiVersion")!;
    const other = own.endsWith("v1alpha1") ? "serving.kserve.io/v1alpha2" : "serving.kserve.io/v1alpha1";
    const there = convert(object, other);
    expect(structurals.get(key.replace(own, other))!.prune(structuredClone(there))).toEqual([]);
    // The way to v1alpha2 fills in the defaults of a pool's picker: what is compared is a second round trip.
    const back = convert(there, own);
    expect(convert(convert(back, other), own)).toEqual(back);
  });

  test("every core kind has a schema that can be used", () => {
    for (const kind of coreKinds())
      expect(
        createStructural(kind.schema)
          .validate({ apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name: "x" } })
          .every((error) => error.kind === "Required"),
      ).toBe(true);
  });
});
