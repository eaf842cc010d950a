import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { textAt } from "../../crds/json.ts";
import { COMPONENTS, componentLabels } from "../labels.ts";
import { type Pass, child, ownedChild } from "../llminferenceservice/pass.ts";
import { usesBackendPolicies } from "./gateway-kinds.ts";

/** Key of a certificate authority in ConfigMaps and Secrets. */
const AUTHORITY = "ca.crt";

/** The authority of the service's certificate, as soon as there is one: in the pass that makes the Secret it is not live yet. */
function authority(pass: Pass): string {
  const secret = ownedChild(pass, KINDS.Secret, pass.names.tlsSecret);
  return Buffer.from(textAt(secret, "data", AUTHORITY) ?? "", "base64").toString("utf8");
}

/**
 * Tells gateways that speak TLS to a backend by a BackendTLSPolicy which authority and name the model servers' Service has,
 * where TLS is on and the cluster serves the policy. The authority has to be in a ConfigMap (Gateway API v1).
 */
export function buildBackendTlsPolicy(pass: Pass): readonly KubeObject[] {
  if (!pass.global.ingress.enableTls || !pass.cluster.serves(KINDS.BackendTLSPolicy)) return [];
  const certificate = authority(pass);
  if (certificate === "" || !usesBackendPolicies(pass)) return [];
  const service = pass.names.workloadService;
  const metadata = { name: service, labels: componentLabels(pass.name, COMPONENTS.workload) };
  const hostname = `${service}.${pass.namespace}.svc.${pass.settings.clusterDomain}`;
  return [
    child(pass, KINDS.ConfigMap, metadata, { data: { [AUTHORITY]: certificate } }),
    child(pass, KINDS.BackendTLSPolicy, metadata, {
      spec: {
        targetRefs: [{ group: "", kind: "Service", name: service }],
        validation: { caCertificateRefs: [{ group: "", kind: "ConfigMap", name: service }], hostname },
      },
    }),
  ];
}
