import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;
const SHARED = process.env.LLMISVC_SHARED ?? join(ROOT, "../shared");

/** Whether the published test data (manifests, configs, vectors, foreign CRDs) lies beside this checkout. */
export const corpusAvailable: boolean = existsSync(join(SHARED, "corpus/README.md"));

/**
 * Path of a file or folder of the test data, such as `corpus/metrics/vllm-current.txt` or `reference/crds/index.tsv`.
 * Throws where it is absent: tests that need it must fail, not skip.
 */
export function sharedPath(path: string): string {
  const full = join(SHARED, path);
  if (!existsSync(full))
    throw new Error(`test data ${path} not found beside the checkout; set LLMISVC_SHARED to its folder`);
  return full;
}

/** Text of a file of the test data. */
export function readShared(path: string): string {
  return readFileSync(sharedPath(path), "utf8");
}

/** Paths, relative to the test data's root and sorted, of all files under `folder` whose names end with `suffix`. */
export function listShared(folder: string, suffix: string): string[] {
  const root = sharedPath(folder);
  const walk = (directory: string): string[] =>
    readdirSync(directory).flatMap((name) => {
      const path = join(directory, name);
      return statSync(path).isDirectory() ? walk(path) : [path];
    });
  return walk(root)
    .filter((path) => path.endsWith(suffix))
    .map((path) => relative(SHARED, path))
    .sort();
}
