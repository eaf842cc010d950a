import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { describeWith } from "../cluster/real.ts";
import { ROOT, run } from "../e2e/process.ts";
import { KNOWN } from "./known-differences.ts";

/** Differing fields outside the table for each request: which write of one second changes nothing is a matter of timing. */
const UNKNOWN_SHARE = 0.1;

describeWith("conformance of the embedded API server", "kubernetes")("the embedded API server", () => {
  test("answers generated requests as a real one does, but for the table of known differences", async () => {
    const { stdout, stderr } = await run(join(ROOT, "bin/node"), [join(ROOT, "test/conformance/report.ts")]);
    const [, requests, shown] = /^(\d+) requests, \d+ differences, (\d+) shown/m.exec(stdout) ?? [];
    expect(stderr).toBe("");
    expect(Number(requests)).toBeGreaterThan(1500);
    if (Number(shown) > Number(requests) * UNKNOWN_SHARE) throw new Error(stdout);
  }, 180_000);

  test("the table of known differences gives a reason for each", () => {
    for (const known of KNOWN) expect(known.reason.length).toBeGreaterThan(20);
  });
});
