import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type OperatorBed, startBed } from "./operator-bed.ts";
import { runLives } from "./random-lives.ts";

/** `make lives` sets both: how long sequences are, and which ones. */
const OPERATIONS = Number(process.env["LIVES_OPERATIONS"] ?? "25");
const SEEDS = (process.env["LIVES_SEEDS"] ?? "1").split(",").map(Number);
const LIMIT_MS = 240_000 + OPERATIONS * 1_000;

let bed: OperatorBed;
beforeAll(async () => {
  bed = await startBed(SEEDS.map((seed) => `lives-${seed}`));
}, 240_000);
afterAll(async () => await bed?.close());

test.each(SEEDS)(
  "whatever happened to services, the same objects are there as after a fresh start (seed %i)",
  async (seed) => {
    const outcome = await runLives(bed, { namespace: `lives-${seed}`, seed, operations: OPERATIONS });
    expect({ trace: outcome.trace, objects: outcome.lived }).toEqual({ trace: outcome.trace, objects: outcome.fresh });
    expect(outcome.writesAtRest).toEqual([]);
  },
  LIMIT_MS,
);
