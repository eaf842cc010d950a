import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { COMPONENTS, componentLabels, servingSelector } from "../labels.ts";
import { type Pass, child } from "../llminferenceservice/pass.ts";
import { specAnnotations, specLabels } from "./metadata.ts";

/** Port on which every topology takes requests. */
export const SERVING_PORT = 8000;

/** The Service over all model-server pods that take requests, for routes that bypass the scheduler. */
export function buildWorkloadService(pass: Pass): readonly KubeObject[] {
  const protocol = pass.global.ingress.enableTls ? "https" : "http";
  const metadata = {
    name: pass.names.workloadService,
    labels: { ...specLabels(pass), ...componentLabels(pass.name, COMPONENTS.workload) },
    annotations: specAnnotations(pass),
  };
  const port = { name: protocol, appProtocol: protocol, protocol: "TCP", port: SERVING_PORT, targetPort: SERVING_PORT };
  return [
    child(pass, KINDS.Service, metadata, {
      spec: { type: "ClusterIP", selector: { ...servingSelector(pass.name) }, ports: [port] },
    }),
  ];
}
