import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { writeChart } from "../../charts/package.ts";
import { ROOT, run } from "../e2e/process.ts";
import { folderOf, kubectlPath } from "./toolbox.ts";

/** The terminal of a user: a folder like a checkout after `make chart`, and helm, kubectl and llmisvc on the path. */
export interface UserShell {
  readonly folder: string;
  /** Runs a command line and returns its standard output; shows both. Throws where it ends with another code than 0. */
  run(command: string): Promise<string>;
  close(): void;
}

/** Opens it for the cluster of a kubeconfig (YAML). */
export function openShell(kubeconfig: string): UserShell {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-user-"));
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
  mkdirSync(join(folder, "dist"));
  writeChart(join(folder, "chart"));
  execFileSync("tar", ["-czf", join(folder, `dist/llmisvc-${version}.tgz`), "-C", join(folder, "chart"), "llmisvc"]);
  symlinkSync(join(ROOT, "samples"), join(folder, "samples"));
  const file = join(folder, "kubeconfig");
  writeFileSync(file, kubeconfig, { mode: 0o600 });
  const tools = [folderOf("helm"), dirname(kubectlPath() ?? ""), join(ROOT, "bin")];
  const env = { KUBECONFIG: file, HOME: folder, PATH: [...tools, process.env["PATH"] ?? ""].join(delimiter) };
  return {
    folder,
    run: async (command) => {
      const startMs = performance.now();
      const { code, stdout, stderr } = await run("bash", ["-c", `cd ${folder} && ${command}`], { env });
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      process.stdout.write(`$ ${command}\n${stdout}${stderr}(${seconds} s)\n\n`);
      if (code !== 0) throw new Error(`${command} ended with ${code}`);
      return stdout;
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
