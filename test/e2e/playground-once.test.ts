import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { processesWith, ROOT, run } from "./process.ts";

/** From the command to the printed completion, on two cores; the second start has its state already. */
const FIRST_START_MS = 20_000;
const SECOND_START_MS = 10_000;

const once = async (...args: readonly string[]) => {
  const marker = randomUUID();
  const startedAt = performance.now();
  const finished = await run(join(ROOT, "bin/llmisvc"), ["playground", "--once", "--gateway-port=0", ...args], {
    env: { LLMISVC_TEST_RUN: marker },
  });
  return { ...finished, elapsedMs: performance.now() - startedAt, left: processesWith(marker) };
};

describe("llmisvc playground --once", () => {
  test("prints a routed completion, why its pod was picked, and leaves nothing behind; a second start is faster", async () => {
    const folder = mkdtempSync(join(tmpdir(), "llmisvc-once-"));
    const first = await once(`--data-dir=${folder}`);
    expect(first).toMatchObject({ code: 0, left: [] });
    expect(first.stdout).toMatch(/quickstart\s+Ready/);
    expect(first.stdout).toMatch(/served by +quickstart-kserve-\S+/);
    expect(first.stdout).toMatch(/queue-scorer/);
    expect(first.elapsedMs).toBeLessThan(FIRST_START_MS);
    const second = await once(`--data-dir=${folder}`);
    expect(second).toMatchObject({ code: 0, left: [] });
    expect(second.stdout).toMatch(/served by +quickstart-kserve-\S+/);
    expect(second.elapsedMs).toBeLessThan(SECOND_START_MS);
    rmSync(folder, { recursive: true });
  });

  test("a flag it does not know ends with 2 and says which", async () => {
    const finished = await once("--twice");
    expect(finished.code).toBe(2);
    expect(finished.stderr).toContain("--twice");
  });

  test("a sample that cannot become ready ends with 1 and the cause", async () => {
    const finished = await once("--sample=/nonexistent.yaml");
    expect(finished.code).toBe(1);
    expect(finished.stderr).toContain("/nonexistent.yaml");
    expect(finished.left).toEqual([]);
  });
});
