import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { writeChart } from "./package.ts";

/** Oldest Kubernetes that the manifests are for; helm asks no cluster for its version. */
const KUBE_VERSION = "v1.29.0";

/**
 * What the chart installs by its default values in namespace `kserve`, as YAML for `kubectl apply`; hooks are left out.
 * Throws where `helm` cannot be run or refuses the chart.
 */
export function plainManifests(helm = "helm"): string {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-manifests-"));
  try {
    const args = ["template", "llmisvc", writeChart(folder), "--namespace", "kserve", "--kube-version", KUBE_VERSION];
    const { status, stdout, stderr, error } = spawnSync(helm, [...args, "--no-hooks", "--skip-tests"], {
      encoding: "utf8",
      maxBuffer: 1 << 26,
    });
    if (error !== undefined) throw new Error(`helm cannot be run: ${error.message}`, { cause: error });
    if (status !== 0) throw new Error(`helm template ended with ${status}: ${stderr}`);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const target = process.argv[2] ?? "dist/install.yaml";
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, plainManifests());
  process.stdout.write(`${target}\n`);
}
