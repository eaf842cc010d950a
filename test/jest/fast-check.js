/**
 * fast-check for tests: the same cases in every run, since a test must not depend on chance. `FAST_CHECK_SEED=random` looks
 * for new ones, `FAST_CHECK_SEED=N` repeats those of a report.
 */
import * as fc from "../../node_modules/fast-check/lib/fast-check.js";

const seed = process.env.FAST_CHECK_SEED ?? "1";
if (seed !== "random") fc.configureGlobal({ seed: Number(seed) });

export * from "../../node_modules/fast-check/lib/fast-check.js";
export default fc.default;
