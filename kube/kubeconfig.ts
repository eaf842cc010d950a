import type { KubeConfig } from "@kubernetes/client-node";

/** Where the credentials come from. */
export interface KubeConfigSource {
  /** YAML text of a kubeconfig; wins over `path`. */
  readonly text?: string | undefined;
  /** A kubeconfig file. */
  readonly path?: string | undefined;
  /** The context to use; default is the current one. */
  readonly context?: string | undefined;
}

/**
 * Loads credentials as kubectl does: the given text or file, else `KUBECONFIG`, else `~/.kube/config`, else the service
 * account of the pod. A service account's token is read from its file again for each request, so rotation needs no restart.
 * Errors: `Error` for an unreadable file, an unknown context, or a context without a cluster.
 */
export async function loadKubeConfig(source: KubeConfigSource = {}): Promise<KubeConfig> {
  // Loaded on demand: the package costs half a second, which only a process that talks to a cluster should pay.
  const clientNode = await import("@kubernetes/client-node");
  const config = new clientNode.KubeConfig();
  if (source.text !== undefined) config.loadFromString(source.text);
  else if (source.path !== undefined) config.loadFromFile(source.path);
  else config.loadFromDefault();
  if (source.context !== undefined) config.setCurrentContext(source.context);
  allowPlainHttp(config);
  if (config.getCurrentCluster() === null)
    throw new Error(`kubeconfig context ${JSON.stringify(config.getCurrentContext())} names no known cluster`);
  return config;
}

/** The namespace of the current context, which in a pod is the pod's own; `default` where none is set. */
export function currentNamespace(config: Pick<KubeConfig, "getContextObject" | "getCurrentContext">): string {
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  return namespace === undefined || namespace === "" ? "default" : namespace;
}

/** The package takes a plain `http:` server only beside `skipTLSVerify`, though there is no TLS to skip. */
function allowPlainHttp(config: KubeConfig): void {
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith("http:") ? { ...cluster, skipTLSVerify: true } : cluster,
  );
}
