import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { type Release, VERSIONS } from "./versions.ts";

/** A set of programs that is installed as a whole. */
export interface Component {
  /** Its folder in the cache, which carries the version. */
  readonly folder: string;
  readonly programs: readonly string[];
}

/** What can be installed, by the name that `install.ts` takes. */
export const COMPONENTS = {
  kubernetes: {
    folder: `kubernetes-${VERSIONS.kubernetes.newest}`,
    programs: ["kube-apiserver", "kube-controller-manager", "etcd"],
  },
  "kubernetes-older": {
    folder: `kubernetes-${VERSIONS.kubernetes.older}`,
    programs: ["kube-apiserver", "kube-controller-manager"],
  },
  kubectl: { folder: `kubectl-${VERSIONS.kubernetes.newest}`, programs: ["kubectl"] },
  helm: { folder: `helm-${VERSIONS.helm}`, programs: ["helm"] },
  envoy: { folder: `envoy-${VERSIONS.envoy}`, programs: ["envoy"] },
} as const satisfies Readonly<Record<string, Component>>;

/** Name of a component. */
export type ComponentName = keyof typeof COMPONENTS;

/** Where installed components are kept: outside the checkout, so that a fresh checkout builds nothing again. */
export function cacheRoot(): string {
  const own = process.env["LLMISVC_TESTBED"];
  if (own !== undefined && own !== "") return own;
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "llmisvc-testbed");
}

/** Folder of a component's programs. */
export const folderOf = (name: ComponentName): string => join(cacheRoot(), COMPONENTS[name].folder);

/** Whether a component is complete: its folder appears by one rename when all its programs are there. */
export const isInstalled = (name: ComponentName): boolean => existsSync(folderOf(name));

/** Component of a release of Kubernetes. */
export const kubernetesOf = (release: Release): ComponentName =>
  release === "newest" ? "kubernetes" : "kubernetes-older";

/** Path of a program of this machine, as a shell finds it. */
export function onPath(program: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** kubectl of this machine, else the installed one; undefined where there is neither. */
export function kubectlPath(): string | undefined {
  return onPath("kubectl") ?? (isInstalled("kubectl") ? join(folderOf("kubectl"), "kubectl") : undefined);
}

/** Tests of real components must run where `CI=true`. */
export const required = (): boolean => process.env["CI"] === "true";

/**
 * Whether all these components are installed. Where not, tells once on the standard error what is left out; with `CI=true`
 * it throws, naming the remedy.
 */
export function haveComponents(what: string, ...names: readonly ComponentName[]): boolean {
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return true;
  const text = `${what}: ${missing.join(", ")} not in ${cacheRoot()}; install with: bin/node test/cluster/install.ts`;
  if (required()) throw new Error(text);
  process.stderr.write(`left out: ${text}\n`);
  return false;
}

/** Runs a command in a network namespace in which pods have addresses. */
export const IN_NETWORK: string = new URL("in-network.sh", import.meta.url).pathname;

/** Whether this machine lets us have a network namespace; says what is left out where not, and throws with `CI=true`. */
export function hasNetwork(what: string): boolean {
  const { status, stderr } = spawnSync(IN_NETWORK, ["true"], { encoding: "utf8" });
  if (status === 0) return true;
  const text = `${what}: no network namespace (${(stderr ?? "").trim()}); needs unshare and ip`;
  if (required()) throw new Error(text);
  process.stderr.write(`left out: ${text}\n`);
  return false;
}
