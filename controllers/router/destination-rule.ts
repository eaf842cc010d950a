import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { objectAt } from "../../crds/json.ts";
import { named, stringsOf } from "../json-edit.ts";
import { COMPONENTS, type StringMap, componentLabels } from "../labels.ts";
import { type Pass, child } from "../llminferenceservice/pass.ts";
import { flagValue } from "../scheduler/command-line.ts";
import { MAIN_CONTAINER } from "../workload/pod.ts";
import { usesIstio } from "./gateway-kinds.ts";
import { pickerServiceName, poolName, runsScheduler } from "./pool-reference.ts";

/** Label of the Service that Istio puts beside an InferencePool. */
const POOL_SERVICE_LABEL = "istio.io/inferencepool-name";

/** Endpoint pickers speak TLS unless they are told not to. */
function pickerSpeaksTls(pass: Pass): boolean {
  const main = named(objectAt(pass.spec, "router", "scheduler", "template")?.["containers"], MAIN_CONTAINER);
  const line = [...stringsOf(main?.["command"]), ...stringsOf(main?.["args"])];
  const value = flagValue(
    line.filter((element) => element.includes("=")),
    new Set(["secure-serving", "secureServing"]),
  );
  return value === undefined || !/^(0|f|false)$/i.test(value);
}

interface Destination {
  readonly service: string;
  readonly component: string;
}

function destinations(pass: Pass): readonly Destination[] {
  const picker = runsScheduler(pass) && pickerSpeaksTls(pass) ? pickerServiceName(pass) : undefined;
  const pools = pass.cluster.list(KINDS.Service, pass.namespace, { [POOL_SERVICE_LABEL]: poolName(pass) });
  const servers = pass.global.ingress.enableTls
    ? [pass.names.workloadService, ...pools.map((service) => service.metadata.name)]
    : [];
  return [
    ...(picker === undefined ? [] : [{ service: picker, component: COMPONENTS.scheduler }]),
    ...servers.map((service) => ({ service, component: COMPONENTS.workload })),
  ];
}

function rule(pass: Pass, { service, component }: Destination): KubeObject {
  const host = `${service}.${pass.namespace}.svc.${pass.settings.clusterDomain}`;
  const labels: StringMap = componentLabels(pass.name, component);
  // The certificate is the service's own: nothing that a gateway trusts has signed it.
  const tls = { mode: "SIMPLE", insecureSkipVerify: true };
  return child(pass, KINDS.DestinationRule, { name: service, labels }, { spec: { host, trafficPolicy: { tls } } });
}

/**
 * Tells an Istio gateway to speak TLS to those of the service's parts that do: its scheduler always, its model servers where
 * TLS is on. None where Istio is not installed, or no Gateway of the service is Istio's. Of two rules for a host Istio takes
 * the older one, so that a rule of somebody else's stays in force.
 */
export function buildDestinationRules(pass: Pass): readonly KubeObject[] {
  if (!pass.cluster.serves(KINDS.DestinationRule) || !usesIstio(pass)) return [];
  return destinations(pass).map((destination) => rule(pass, destination));
}
