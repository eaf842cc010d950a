import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { objectAt } from "../../crds/json.ts";
import { COMPONENTS, componentLabels } from "../labels.ts";
import { type Pass, child, ownedChild } from "../llminferenceservice/pass.ts";
import { MAIN_CONTAINER } from "../workload/pod.ts";
import { SCHEDULER_ERROR } from "./deployment.ts";
import { TOKENIZER_PORT, runsTokenizer } from "./tokenizer-address.ts";
import { TOKENIZER_MODEL_PATH, withTokenizerModel } from "./tokenizer-model.ts";

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
          spec: withTokenizerModel(pass, template, {
            livePod: objectAt(live, "spec", "template", "spec"),
            target: { container: MAIN_CONTAINER, path: TOKENIZER_MODEL_PATH, adapters: false },
            reason: SCHEDULER_ERROR,
          }),
        },
      },
    }),
    child(pass, KINDS.Service, metadata, {
      spec: { type: "ClusterIP", selector: { ...labels }, ports: [port] },
    }),
  ];
}
