import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { haveComponents, IN_NETWORK, hasNetwork, kubernetesOf } from "./toolbox.ts";
import { savedState } from "./saved-state.ts";
import { startCluster } from "./cluster.ts";
import { allDefinitions } from "./control-plane.ts";
import type { Release } from "./versions.ts";

const USAGE = `bin/node test/cluster/suites.ts [--release newest|older] [PATTERN...]

Runs the end-to-end suites of test/e2e on a real API server and controller manager, in a network namespace. Without
patterns: all of them.
`;

/** Suites that run on either server: of the whole, and of the operator alone. */
const SUITES = "(e2e/|life-cycle|random-lives|adoption)";
/** Suites that start no playground, or are about the embedded API server itself. */
const EMBEDDED_ONLY = "kubectl-apiserver|playground-once|images|policies|reload|churn";
const ROOT = new URL("../..", import.meta.url).pathname;
/**
 * An API server takes long to serve definitions that it has not seen; that is done once, before a suite waits for it.
 */
async function prepare(release: Release): Promise<void> {
  const definitions = allDefinitions();
  if (savedState(release, definitions).exists()) return;
  const cluster = await startCluster({ release, controllers: false, definitions });
  await cluster.close();
}

function run(release: Release, patterns: readonly string[]): number {
  const jest = [
    "--experimental-vm-modules",
    "--no-warnings",
    "--max-old-space-size=4096",
    "node_modules/jest/bin/jest.js",
  ];
  const wanted = patterns.length > 0 ? patterns : [""];
  const paths = wanted.map((pattern) => `/test/(?=.*${pattern})(?!.*(${EMBEDDED_ONLY}))${SUITES}`);
  const options = ["--runInBand", "--forceExit", "--testTimeout=120000", "--selectProjects", "e2e", "unit"];
  const { status } = spawnSync(IN_NETWORK, [process.execPath, ...jest, ...paths, ...options], {
    cwd: ROOT,
    env: { ...process.env, LLMISVC_TEST_SERVER: release },
    stdio: "inherit",
  });
  return status ?? 1;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { release: { type: "string", default: "newest" }, help: { type: "boolean", short: "h", default: false } },
});
const { release } = values;
if (values.help || (release !== "newest" && release !== "older")) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 2);
}
try {
  const ready = haveComponents(`suites on a real API server (${release})`, "kubernetes", kubernetesOf(release));
  if (ready && hasNetwork("suites on a real API server")) {
    await prepare(release);
    process.exitCode = run(release, positionals);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
