/**
 * Versions of the real components that tests run against. The modules in `tools/` pin what they are built from, with
 * checksums; `versions.test.ts` holds both together.
 */
export const VERSIONS = {
  /** API server and controller manager, newest and three minors older. */
  kubernetes: { newest: "v1.34.2", older: "v1.31.0" },
  /** Built in the module of the newest Kubernetes, whose client it matches. */
  etcd: "v3.6.4",
  helm: "v3.20.2",
  /** Version of the PyPI package, which is that of the proxy in it. */
  envoy: "1.40.0",
} as const;

/** A Kubernetes that the bed can run. */
export type Release = keyof typeof VERSIONS.kubernetes;

/** Folder of a release's tool module, below `tools/`. */
export function moduleOf(release: Release): string {
  return `kubernetes-${VERSIONS.kubernetes[release].split(".", 2).join(".").slice(1)}`;
}
