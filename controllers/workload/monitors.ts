import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { objectAt } from "../../crds/json.ts";
import { compact, integerOf, named, objectsOf } from "../json-edit.ts";
import { COMPONENTS, ROLE_LABEL, WORKLOAD_LABEL, baseLabels, componentLabels } from "../labels.ts";
import { type Pass, child } from "../llminferenceservice/pass.ts";
import { runsScheduler } from "../router/pool-reference.ts";
import { type WorkloadPart, isMultiNode, workloadPart } from "./parts.ts";
import { MAIN_CONTAINER } from "./pod.ts";
import { SERVING_PORT } from "./service.ts";

/** Token of the scraper itself: the scheduler asks who reads its metrics. */
const SCRAPER_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/** Behind a routing sidecar the engine has a port of its own. */
function enginePort(part: WorkloadPart): number {
  const pod = objectAt(part.spec, "template") ?? objectAt(part.spec, "worker");
  const [port] = objectsOf(named(pod?.["containers"], MAIN_CONTAINER)?.["ports"]);
  return integerOf(port?.["containerPort"]) ?? SERVING_PORT;
}

/** Certificates name no pod addresses that a scraper would check. */
function transport(pass: Pass): JsonObject {
  return pass.global.ingress.enableTls
    ? { scheme: "https", tlsConfig: { insecureSkipVerify: true } }
    : { scheme: "http" };
}

function engineMonitor(pass: Pass, part: WorkloadPart): KubeObject {
  const name = isMultiNode(part) ? part.leaderWorkerSet : part.deployment;
  const matchLabels = { ...baseLabels(pass.name), [WORKLOAD_LABEL]: "workload", [ROLE_LABEL]: part.role };
  const endpoint = { path: "/metrics", portNumber: enginePort(part), ...transport(pass) };
  const metadata = { name, labels: componentLabels(pass.name, part.components.single) };
  return child(pass, KINDS.PodMonitor, metadata, {
    spec: { selector: { matchLabels }, podMetricsEndpoints: [endpoint] },
  });
}

function schedulerMonitor(pass: Pass): KubeObject {
  const labels = componentLabels(pass.name, COMPONENTS.scheduler);
  const endpoint = compact({ port: "metrics", path: "/metrics", bearerTokenFile: SCRAPER_TOKEN });
  return child(
    pass,
    KINDS.ServiceMonitor,
    { name: pass.names.scheduler, labels },
    { spec: { selector: { matchLabels: { ...labels } }, endpoints: [endpoint] } },
  );
}

/**
 * PodMonitor of the engines and ServiceMonitor of the scheduler, where key `optionalObjects` of the operator's configuration
 * asks for them and the Prometheus operator is installed.
 */
export function buildMonitors(pass: Pass): readonly KubeObject[] {
  if (!pass.global.optionalObjects.monitors) return [];
  const parts = (["main", "prefill"] as const).flatMap((name) => workloadPart(pass, name) ?? []);
  return [
    ...(pass.cluster.serves(KINDS.PodMonitor) ? parts.map((part) => engineMonitor(pass, part)) : []),
    ...(runsScheduler(pass) && pass.cluster.serves(KINDS.ServiceMonitor) ? [schedulerMonitor(pass)] : []),
  ];
}
