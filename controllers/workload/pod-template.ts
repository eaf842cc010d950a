import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { at, objectAt } from "../../crds/json.ts";
import { stringsOf } from "../json-edit.ts";
import { type Pass, PassError, asJson } from "../llminferenceservice/pass.ts";
import { poolName } from "../router/pool-reference.ts";
import { POOL_GROUPS } from "../router/pool-version.ts";
import { withModelArtifacts } from "./artifacts.ts";
import { withKvCacheVolumes } from "./kv-cache.ts";
import { withLoraArguments } from "./lora.ts";
import { SERVER_TARGET } from "./model-target.ts";
import { ROUTING_SIDECAR, type WorkloadPart, serviceAccountOf } from "./parts.ts";
import { editInitContainer, env, withEnv } from "./pod.ts";
import { withServerTracing } from "./tracing.ts";

/** How one pod spec of a part is completed. */
export interface PodOptions {
  /** Reason of the condition when it cannot be. */
  readonly reason: string;
  /** ServiceAccount the pod runs as; undefined: that of the template, if any. */
  readonly serviceAccount: string | undefined;
  /** Whether that ServiceAccount is one that the operator makes; it starts with the Secrets of `default`. */
  readonly generatedAccount: boolean;
  /** Pod spec of the live object, undefined before its creation. */
  readonly livePod: JsonObject | undefined;
  /** Whether the sidecar is told its pool. */
  readonly namesPool: boolean;
}

/** A cluster that serves only the older pool API has no pool in the group that the preset names. */
function withPoolGroup(pass: Pass, sidecar: JsonObject): JsonObject {
  if (pass.cluster.serves(KINDS.InferencePool) || !pass.cluster.serves(KINDS.InferencePoolV1Alpha2)) return sidecar;
  const [wanted, given] = [POOL_GROUPS.older, POOL_GROUPS.v1].map((group) => `--pool-group=${group}`);
  const command = stringsOf(sidecar["command"]).map((element) => (element === given ? (wanted ?? element) : element));
  return { ...sidecar, command };
}

function withPoolName(pass: Pass, pod: JsonObject): JsonObject {
  if (objectAt(pass.spec, "router") === undefined) return pod;
  return editInitContainer(pod, ROUTING_SIDECAR, (sidecar) =>
    withEnv(withPoolGroup(pass, sidecar), [env("INFERENCE_POOL_NAME", poolName(pass))]),
  );
}

/** The ServiceAccount whose Secrets a download uses. One that the user names must exist; `default` may be missing. */
function credentialAccount(pass: Pass, account: string | undefined, options: PodOptions): JsonObject | undefined {
  const foreign = account !== undefined && !options.generatedAccount;
  const key = { namespace: pass.namespace, name: foreign ? account : "default" };
  const found = asJson(pass.cluster.find(KINDS.ServiceAccount, key));
  if (found !== undefined || !foreign) return found;
  throw new PassError(
    options.reason,
    `serviceAccountName: failed to fetch existing service account ${key.namespace}/${key.name}: create it or remove the field`,
  );
}

/**
 * A pod spec of the merged service with everything the operator adds, in KServe's order: pool name of the sidecar, model,
 * LoRA adapters, KV-cache tiers, tracing. Throws `PassError` where the spec cannot be served.
 */
export function completedPod(pass: Pass, part: WorkloadPart, template: JsonObject, options: PodOptions): JsonObject {
  const account = options.serviceAccount ?? serviceAccountOf(template);
  const credentials = { serviceAccount: credentialAccount(pass, account, options), reason: options.reason };
  const artifacts = { reason: options.reason, credentials, livePod: options.livePod };
  const steps: readonly ((pod: JsonObject) => JsonObject)[] = [
    (pod) => (options.namesPool ? withPoolName(pass, pod) : pod),
    (pod) => withModelArtifacts(pass, pod, { ...artifacts, target: SERVER_TARGET }),
    (pod) => withLoraArguments(pass, pod),
    (pod) => withKvCacheVolumes(pod, at(part.spec, "kvCacheOffloading")),
    (pod) => (account === undefined ? pod : { ...pod, serviceAccountName: account }),
    (pod) => withServerTracing(pass, pod, part.tracedAs),
  ];
  return steps.reduce((pod, step) => step(pod), template);
}
