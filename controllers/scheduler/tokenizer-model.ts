import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { objectAt } from "../../crds/json.ts";
import { named } from "../json-edit.ts";
import { type Pass, asJson } from "../llminferenceservice/pass.ts";
import { type ArtifactOptions, withModelArtifacts } from "../workload/artifacts.ts";
import { serviceAccountOf } from "../workload/parts.ts";
import { editInitContainer, env, withEnv } from "../workload/pod.ts";
import { STORAGE_INITIALIZER } from "../workload/storage-initializer.ts";

/** Where a tokenizer finds the model's files. */
export const TOKENIZER_MODEL_PATH = "/mnt/models/base";

/** What a tokenizer reads of a model: its weights would be downloaded for nothing. */
const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "vocab.json",
  "merges.txt",
  "config.json",
  "generation_config.json",
];

const PATTERNS = "STORAGE_ALLOW_PATTERNS";

/** Whether a live pod has the whole model, as KServe's have: it would be restarted only to have less. */
function downloadsAll(livePod: JsonObject | undefined): boolean {
  const live = named(livePod?.["initContainers"], STORAGE_INITIALIZER);
  return live !== undefined && named(live["env"], PATTERNS) === undefined;
}

/**
 * The ServiceAccount whose Secrets the download uses: that of the scheduler. One that the operator makes is a copy of the
 * model servers', or of `default`: the original is there from the first pass on.
 */
function credentialAccount(pass: Pass): string {
  const own = serviceAccountOf(objectAt(pass.spec, "router", "scheduler", "template"));
  if (own !== undefined && own !== pass.names.schedulerServiceAccount) return own;
  return serviceAccountOf(objectAt(pass.spec, "template")) ?? "default";
}

/** The pod spec with the files that a tokenizer reads of the model; downloads use the scheduler's ServiceAccount. */
export function withTokenizerModel(
  pass: Pass,
  pod: JsonObject,
  options: Omit<ArtifactOptions, "credentials">,
): JsonObject {
  const key = { namespace: pass.namespace, name: credentialAccount(pass) };
  const serviceAccount = asJson(pass.cluster.find(KINDS.ServiceAccount, key));
  const credentials = { serviceAccount, reason: options.reason };
  const attached = withModelArtifacts(pass, pod, { ...options, credentials });
  if (downloadsAll(options.livePod)) return attached;
  return editInitContainer(attached, STORAGE_INITIALIZER, (container) =>
    withEnv(container, [env(PATTERNS, JSON.stringify(TOKENIZER_FILES))]),
  );
}
