import { describe, expect, test } from "@jest/globals";
import { isObject, listAt, objectAt, textAt } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { parseYaml, parseYamlDocuments } from "../../kube/yaml.ts";
import { AdmissionPath, type Verdict } from "../../test/admission.ts";
import { listShared, readShared } from "../../test/corpus.ts";
import {
  ADMISSION_BY_DESIGN,
  SCHEDULER_BY_DESIGN,
  differencesOfStored,
  differencesOfVerdicts,
} from "../../test/golden-admission.ts";

const ROOT = "corpus/golden/";
const MANIFESTS = "corpus/manifests/";

const nameOf = (object: Json): string => `${textAt(object, "kind")}/${textAt(object, "metadata", "name")}`;

/** Objects of a manifest file. */
const objectsOf = (path: string): JsonObject[] =>
  parseYamlDocuments(readShared(path)).filter((document): document is JsonObject => isObject(document as Json));

/** What was applied for a recording, in order: configs of other files that it needs, then its own objects. */
function appliedOf(path: string, recording: JsonObject): JsonObject[] {
  const borrowed = listAt(recording, "applied").flatMap((entry) => {
    const from = textAt(entry, "from");
    if (from === undefined) return [];
    return objectsOf(`${MANIFESTS}${from}`).filter((object) => nameOf(object) === textAt(entry, "object"));
  });
  return [...borrowed, ...objectsOf(path.replace(ROOT, MANIFESTS))];
}

const admission = new AdmissionPath();

async function differencesOf(path: string): Promise<string[]> {
  const namespace = `ns-${path.replaceAll(/[^a-z\d]+/gi, "-").toLowerCase()}`;
  const recording = parseYaml(readShared(path).replaceAll(/\bNS\b/g, namespace)) as JsonObject;
  admission.createNamespace(namespace);
  const objects = appliedOf(path, recording);
  const verdicts: Verdict[] = [];
  for (const object of objects) verdicts.push(await admission.apply(object, namespace));
  const recorded = listAt(recording, "applied").filter((entry) => textAt(entry, "apply") !== undefined);
  expect(recorded.map((entry) => textAt(entry, "object"))).toEqual(objects.map(nameOf));
  const found = objects.flatMap((object, index) =>
    differencesOfVerdicts(object, verdicts[index]!, textAt(recorded[index]!, "apply")!),
  );
  for (const theirs of listAt(recording, "stored").filter(isObject)) {
    const { apiVersion = "", kind = "" } = theirs as Record<string, string>;
    const name = textAt(theirs, "metadata", "name") ?? "";
    const ours = await admission.read(apiVersion, kind, namespace, name);
    found.push(...(ours === undefined ? [] : differencesOfStored(objectAt(ours)!, theirs)));
  }
  return found;
}

describe("admission answers and stored objects of a recorded KServe on a real API server", () => {
  const found = new Map<string, readonly string[]>();

  test.each(listShared(ROOT, ".yaml"))("%s", async (path) => {
    const differences = await differencesOf(path);
    found.set(path, differences);
    const known = [...ADMISSION_BY_DESIGN, ...SCHEDULER_BY_DESIGN];
    expect(differences.filter((text) => !known.some(([, pattern]) => pattern.test(text)))).toEqual([]);
  });

  test.each(ADMISSION_BY_DESIGN)("a difference is explained by: %s", (_what, pattern) => {
    expect([...found.values()].flat().some((text) => pattern.test(text))).toBe(true);
  });
});
