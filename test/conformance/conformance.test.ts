import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { describeWith } from "../cluster/real.ts";
import { ROOT, run } from "../e2e/process.ts";
import { KNOWN } from "./known-differences.ts";

describeWith("conformance of the embedded API server", "kubernetes")("the embedded API server", () => {
  test("answers generated requests as a real one does, but for the table of known differences", async () => {
    const { stdout, stderr } = await run(join(ROOT, "bin/node"), [join(ROOT, "test/conformance/report.ts")]);
    const [, requests, shown] = /^(\d+) requests, \d+ differences, (\d+) shown/m.exec(stdout) ?? [];
    expect(stderr).toBe("");
    expect(Number(requests)).toBeGreaterThan(2400);
    if (Number(shown) > 0) throw new Error(stdout);
  }, 180_000);

  test("the table of known differences gives a reason for each", () => {
    for (const known of KNOWN) expect(known.reason.length).toBeGreaterThan(20);
  });
});
