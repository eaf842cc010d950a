import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { objectAt } from "../composition/json.ts";
import { COMPONENTS, componentLabels } from "../labels.ts";
import { type Pass, asJson, child, ownedChild } from "../llminferenceservice/pass.ts";
import { withModelArtifacts } from "../workload/artifacts.ts";
import { MAIN_CONTAINER, editInitContainer, env, withEnv } from "../workload/pod.ts";
import { STORAGE_INITIALIZER } from "../workload/storage-initializer.ts";
import { SCHEDULER_ERROR } from "./deployment.ts";
import { schedulerServiceAccount } from "./rbac.ts";
import { TOKENIZER_PORT, runsTokenizer } from "./tokenizer-address.ts";

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

/** The pod with the storage initializer told to download only what a tokenizer reads. */
export function onlyTokenizerFiles(pod: JsonObject): JsonObject {
  return editInitContainer(pod, STORAGE_INITIALIZER, (container) =>
    withEnv(container, [env("STORAGE_ALLOW_PATTERNS", JSON.stringify(TOKENIZER_FILES))]),
  );
}

function podSpec(pass: Pass, template: JsonObject, livePod: JsonObject | undefined): JsonObject {
  const account = { namespace: pass.namespace, name: schedulerServiceAccount(pass) };
  const serviceAccount = asJson(pass.cluster.find(KINDS.ServiceAccount, account));
  const pod = withModelArtifacts(pass, template, {
    reason: SCHEDULER_ERROR,
    credentials: { serviceAccount, reason: SCHEDULER_ERROR },
    livePod,
    target: { container: MAIN_CONTAINER, path: TOKENIZER_MODEL_PATH, adapters: false },
  });
  return onlyTokenizerFiles(pod);
}

/** Deployment and Service of the tokenizer that the scheduler asks, where its configuration needs one (KServe after v0.20). */
export function buildTokenizer(pass: Pass): readonly KubeObject[] {
  const template = objectAt(pass.spec, "router", "scheduler", "tokenizer", "template");
  if (!runsTokenizer(pass) || template === undefined) return [];
  const live = ownedChild(pass, KINDS.Deployment, pass.names.tokenizer);
  const labels = componentLabels(pass.name, COMPONENTS.tokenizer);
  const metadata = { name: pass.names.tokenizer, labels };
  const port = { name: "render-http", port: TOKENIZER_PORT, protocol: "TCP", targetPort: "render-http" };
  return [
    child(pass, KINDS.Deployment, metadata, {
      spec: {
        replicas: 1,
        selector: { matchLabels: { ...labels } },
        template: {
          metadata: { labels: { ...labels } },
          spec: podSpec(pass, template, objectAt(live, "spec", "template", "spec")),
        },
      },
    }),
    child(pass, KINDS.Service, metadata, {
      spec: { type: "ClusterIP", selector: { ...labels }, ports: [port] },
    }),
  ];
}
