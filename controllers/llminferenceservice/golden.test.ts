import { describe, expect, test } from "@jest/globals";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { listShared } from "../../test/corpus.ts";
import {
  EXPLAINED,
  EXPLAINED_STATUS,
  differencesOfChildren,
  isKind,
  statusDifferences,
  unexplained,
} from "../../test/golden.ts";
import { type Recording, recordings, replay } from "../../test/recording.ts";
import { type Settled, childrenOf } from "../../test/settled.ts";
import { isObject, listAt, textAt } from "../../crds/json.ts";

interface Compared {
  readonly path: string;
  readonly children: readonly string[];
  readonly status: readonly string[];
  readonly events: { readonly ours: readonly string[]; readonly theirs: readonly string[] };
}

const isOwn = (child: Json, service: string): boolean =>
  listAt(child, "metadata", "ownerReferences").some((owner) => textAt(owner, "name") === service);

function recordedService(recording: Recording, name: string): JsonObject {
  const found = recording.stored
    .filter(isObject)
    .find((object) => isKind(object, "LLMInferenceService") && textAt(object, "metadata", "name") === name);
  if (found === undefined) throw new Error(`${recording.path}: ${name} was not stored`);
  return found;
}

/** What was created, by kind and name; a recording counts the last ones of many as `combined from similar events`. */
const createdKinds = (recording: Recording): string[] =>
  recording.events
    .filter(([, reason]) => reason === "Created")
    .map(([, , message = ""]) => message.replace(/^\(combined from similar events\): /, ""))
    .map((message) => /^Created \w+\.(\w+) (\S*)$/.exec(message))
    .map((match) => `${match?.[1]} ${match?.[2]?.split("/")[1]}`);

const warningsOf = (events: readonly { readonly type: string; readonly reason: string }[]): string[] => [
  ...new Set(events.flatMap(({ type, reason }) => (type === "Warning" ? [reason] : []))),
];

function compared(recording: Recording, replayed: Settled): Compared {
  const { name, service } = replayed;
  const recorded = recording.children.filter((child) => isOwn(child, name));
  const warnings = recording.events.map(([type = "", reason = ""]) => ({ type, reason }));
  return {
    path: `${recording.path} ${name}`,
    children: differencesOfChildren(childrenOf(replayed), recorded),
    status: statusDifferences(service, recordedService(recording, name)),
    events: { ours: warningsOf(replayed.events), theirs: warningsOf(warnings) },
  };
}

const RECORDINGS = recordings();
const REPLAYED = RECORDINGS.map((recording) => ({ recording, services: replay(recording) }));
const COMPARED = REPLAYED.flatMap(({ recording, services }) =>
  services.map((replayed) => compared(recording, replayed)),
);

/** Warnings of the recorded cluster's own, and those that only one side gives. */
const NOT_COMPARED: ReadonlySet<string> = new Set(["ClusterIPNotAllocated", "ProbeSchemeCorrected"]);

const comparable = (reasons: readonly string[]): string[] =>
  reasons.filter((reason) => !NOT_COMPARED.has(reason)).sort();

describe("what a real KServe controller made of every published manifest", () => {
  test("every file is compared, and every service that was taken", () => {
    const files = listShared("corpus/manifests/", ".yaml").map((path) => path.slice("corpus/manifests/".length));
    expect(RECORDINGS.map(({ path }) => path).sort()).toEqual(files.sort());
    const stored = RECORDINGS.flatMap((recording) =>
      recording.stored.filter((object) => isKind(object, "LLMInferenceService")),
    );
    expect(COMPARED).toHaveLength(stored.length);
    expect(COMPARED.length).toBeGreaterThan(100);
  });

  test.each(COMPARED)("children of $path", ({ children }) => {
    expect(unexplained(children, EXPLAINED)).toEqual([]);
  });

  test.each(COMPARED)("status of $path", ({ status }) => {
    expect(unexplained(status, EXPLAINED_STATUS)).toEqual([]);
  });

  test.each(COMPARED)("warnings of $path", ({ events }) => {
    expect(comparable(events.ours)).toEqual(comparable(events.theirs));
  });

  test.each(REPLAYED.filter(({ recording }) => createdKinds(recording).length > 0))(
    "everything created for $recording.path is a child of ours",
    ({ recording, services }) => {
      const ours = new Set(
        services.flatMap(({ plan }) => plan.children.map(({ kind, metadata }) => `${kind} ${metadata.name}`)),
      );
      expect(createdKinds(recording).filter((object) => !ours.has(object))).toEqual([]);
    },
  );

  test.each(EXPLAINED)("a difference of children is explained by: %s", (_what, pattern) => {
    expect(COMPARED.some(({ children }) => children.some((text) => pattern.test(text)))).toBe(true);
  });

  test.each(EXPLAINED_STATUS)("a difference of status is explained by: %s", (_what, pattern) => {
    expect(COMPARED.some(({ status }) => status.some((text) => pattern.test(text)))).toBe(true);
  });
});
