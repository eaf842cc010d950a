import { expect, test } from "@jest/globals";
import { runChurn } from "../../bench/churn.ts";

/** How much later than the watch of this test a scheduler may hear that an endpoint is gone: the machine is shared. */
const LATER_MS = 250;

test("three schedulers lose no request while endpoints come and go", async () => {
  const { outcome, changes, usage } = await runChurn({ seconds: 6, endpoints: 50, rate: 500, schedulers: 3 });
  expect(outcome.sent).toBeGreaterThan(2000);
  expect([...outcome.lost]).toEqual([]);
  expect(outcome.answered).toBe(outcome.sent);
  expect(Math.max(0, ...outcome.goneForMs)).toBeLessThan(LATER_MS);
  expect(changes.delete).toBeGreaterThan(50);
  expect(changes.crash + changes.stall).toBeGreaterThan(10);
  for (const samples of usage) expect(samples.at(-1)?.rssMiB).toBeLessThan(400);
});
