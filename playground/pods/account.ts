import type { KubeClient } from "../../kube/client.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type Fields, numberAt, textAt } from "../fields.ts";
import type { PathMapping } from "./paths.ts";
import type { PodAccess } from "./runner.ts";

/** Where clients look for the files of a pod's ServiceAccount. */
const ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What a kubelet asks for where a projection names no lifetime. */
const TOKEN_SECONDS = 3600;

/** The token of a `serviceAccountToken` projection, bound to the pod as a kubelet's is. */
export async function requestToken(
  client: Pick<KubeClient, "create">,
  pod: KubeObject,
  projection: Fields,
): Promise<string> {
  const { namespace, name, uid } = pod.metadata;
  const { apiVersion, kind } = KINDS.TokenRequest;
  const audience = textAt(projection, "audience");
  const spec = {
    expirationSeconds: numberAt(projection, "expirationSeconds") ?? TOKEN_SECONDS,
    boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
    ...(audience === undefined ? {} : { audiences: [audience] }),
  };
  const account = { namespace, name: textAt(pod, "spec", "serviceAccountName") ?? "default" };
  const answer = await client.create({ apiVersion, kind, metadata: account, spec }, { subresource: "token" });
  const token = textAt(answer, "status", "token");
  if (token === undefined) throw new Error(`no token in the answer for ServiceAccount ${namespace}/${account.name}`);
  return token;
}

/** Variables that lead the processes of a pod to the API server; a kubelet sets those of the Service `kubernetes`. */
export function accessVariables(access: PodAccess): Readonly<Record<string, string>> {
  if ("kubeconfig" in access) return { KUBECONFIG: access.kubeconfig };
  const { hostname, port } = new URL(access.apiServer);
  return { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
}

/** Gives the process that follows the folder `$1` as its ServiceAccount's, in a mount namespace of its own. */
const MOUNT = `mount -t tmpfs pod /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount &&
  mount --bind "$1" /run/secrets/kubernetes.io/serviceaccount && shift && exec "$@"`;

/** Command line that runs another one with the ServiceAccount's files where clients look; empty for a pod without them. */
export function enterWithAccount(mounts: readonly PathMapping[]): readonly string[] {
  const mount = mounts.find(({ containerPath }) => containerPath === ACCOUNT_FOLDER);
  return mount === undefined ? [] : ["unshare", "--mount", "sh", "-c", MOUNT, "sh", mount.hostPath];
}
