import { expect, test } from "@jest/globals";
import { describeWith } from "../cluster/real.ts";
import type { Difference } from "./compare.ts";
import { KNOWN, isKnown } from "./known-differences.ts";
import { compareServers } from "./suite.ts";

/** Scenarios for each of the nine kinds, and requests in each. */
const SIZE = { seed: 1, count: 10, length: 25 };

/** Differing fields outside the table for each request that was compared. */
const UNKNOWN_SHARE = 0.06;

const inShort = ({ label, path, real, embedded }: Difference): string =>
  `${label} | ${path} | real ${real.slice(0, 200)} | embedded ${embedded.slice(0, 200)}`;

describeWith("conformance of the embedded API server", "kubernetes")("the embedded API server", () => {
  test("answers generated requests as a real one does, but for the table of known differences", async () => {
    const { requests, differences } = await compareServers(SIZE);
    const unknown = differences.filter((difference) => !isKnown(difference));
    expect(requests).toBeGreaterThan(1500);
    // Which write of the same second changes nothing is a matter of timing, so a few differences come and go.
    const tooMany = unknown.length > requests * UNKNOWN_SHARE ? unknown.map(inShort) : [];
    expect(tooMany).toEqual([]);
  }, 180_000);

  test("the table of known differences gives a reason for each", () => {
    for (const known of KNOWN) expect(known.reason.length).toBeGreaterThan(20);
  });
});
