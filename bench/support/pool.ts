import { foreignDefinitions } from "../../crds/foreign.ts";
import type { KubeClient } from "../../kube/client.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { createOnce } from "../../test/installation.ts";

/** Namespace of pools and their pods. */
export const NAMESPACE = "default";

/** Creates the namespace, the definitions of other projects' kinds, and a pool of the pods with label `app: NAME`. */
export async function createPool(client: KubeClient, name: string, port: number): Promise<void> {
  await createOnce(client, { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  for (const definition of foreignDefinitions()) await createOnce(client, definition as unknown as KubeObject);
  const { apiVersion, kind } = KINDS.InferencePool;
  const spec = {
    selector: { matchLabels: { app: name } },
    targetPorts: [{ number: port }],
    endpointPickerRef: { name: `${name}-epp`, port: { number: 9002 } },
  };
  await createOnce(client, { apiVersion, kind, metadata: { namespace: NAMESPACE, name }, spec });
}

/** A pod of a pool, as its manifest has it. */
export function poolPod(pool: string, name: string): KubeObject {
  const spec = { containers: [{ name: "main", image: "vllm" }] };
  return { apiVersion: "v1", kind: "Pod", metadata: { namespace: NAMESPACE, name, labels: { app: pool } }, spec };
}

/** Writes what the cluster says of a pod; `status` is what it says beside whether it is ready. */
export async function setReady(client: KubeClient, name: string, ready: boolean, status: object = {}): Promise<void> {
  const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
  const patch = { type: "merge", body: { status: { ...status, conditions } } } as const;
  await client.patch(KINDS.Pod, { namespace: NAMESPACE, name }, patch, { subresource: "status" });
}
