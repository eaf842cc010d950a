import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { KINDS } from "../kube/resources.ts";
import { keyOf } from "../kube/types.ts";
import { listShared } from "./corpus.ts";
import { createPresets, restoreRecording } from "./kserve-state.ts";
import { type OperatorBed, startBed } from "./operator-bed.ts";

const FILES = listShared("corpus/golden/kserve/samples/main", ".yaml");

/** Every recording has a namespace of its own, as it had when it was made. */
const namespaceOf = (index: number): string => `adopted-${index}`;

let bed: OperatorBed;

async function podTemplates(): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const kind of [KINDS.Deployment, KINDS.LeaderWorkerSet])
    for (const object of (await bed.client.list(kind)).items) {
      const spec = object["spec"] as { readonly template?: unknown; readonly leaderWorkerTemplate?: unknown };
      found.set(
        `${kind.kind} ${keyOf(object.metadata)} ${object.metadata.uid}`,
        spec.template ?? spec.leaderWorkerTemplate,
      );
    }
  return found;
}

/**
 * Samples whose own probe asks for TLS where the server speaks none: their pods restart for ever as they are, and are
 * corrected.
 */
const PROBE_OF_A_PLAIN_SERVER = /Probe\.httpGet\.scheme: "HTTPS" becomes "HTTP"$/;

/**
 * A sample that gives its pods the name of another service, which then is in the immutable selector: here the labels that
 * identify a child are the operator's, and its Deployment is made anew.
 */
const NAMED_AS_ANOTHER = /qwen2-7b-instruct-amd-kserve/;

/** Leaves at which two JSON values differ. */
function differences(before: unknown, after: unknown, path: string): string[] {
  const isTree = (value: unknown): value is Readonly<Record<string, unknown>> =>
    typeof value === "object" && value !== null;
  if (!isTree(before) || !isTree(after))
    return before === after ? [] : [`${path}: ${JSON.stringify(before)} becomes ${JSON.stringify(after)}`];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => differences(before[key], after[key], `${path}.${key}`));
}

beforeAll(async () => {
  bed = await startBed(FILES.map((_, index) => namespaceOf(index)));
  await createPresets(bed.client);
  for (const [index, path] of FILES.entries()) await restoreRecording(bed.client, path, namespaceOf(index));
}, 240_000);
afterAll(async () => await bed?.close());

test("the children of a running KServe are taken over without a change to a single pod", async () => {
  const before = await podTemplates();
  await bed.start();
  await bed.quiet(500);
  const after = await podTemplates();
  expect(before.size).toBeGreaterThan(10);
  const changes = [...before].flatMap(([key, template]) => differences(template, after.get(key), key));
  const explained = (change: string): boolean => PROBE_OF_A_PLAIN_SERVER.test(change) || NAMED_AS_ANOTHER.test(change);
  expect(changes.filter((change) => !explained(change))).toEqual([]);
}, 60_000);
