import { spawnSync } from "node:child_process";
import { describe } from "@jest/globals";

const found = spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0;
const required = process.env.CI === "true";

if (!found && !required)
  process.stderr.write("kubectl not found: tests that need it are skipped (CI=true requires it)\n");

/** `describe` for tests that run kubectl: skipped where it is missing, unless `CI=true`. */
export const describeWithKubectl: typeof describe.skip = found || required ? describe : describe.skip;
