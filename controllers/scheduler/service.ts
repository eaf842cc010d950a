import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, textAt } from "../../crds/json.ts";
import { integerOf, objectsOf } from "../json-edit.ts";
import { COMPONENTS, componentLabels } from "../labels.ts";
import { type Pass, PassError, child } from "../llminferenceservice/pass.ts";
import { pickerServiceName, runsScheduler } from "../router/pool-reference.ts";
import { schedulerPodLabels } from "./deployment.ts";

/** Container ports that the endpoint picker's Service exposes, by name. */
const EXPOSED = ["grpc", "grpc-health", "metrics", "zmq"];

function exposedPorts(template: JsonObject[string] | undefined): JsonObject[] {
  const ports = objectsOf(at(template, "containers")).flatMap((container) => objectsOf(container["ports"]));
  return EXPOSED.flatMap((name) => {
    const port = ports.findLast((candidate) => candidate["name"] === name);
    const number = integerOf(port?.["containerPort"]);
    if (port === undefined || number === undefined) return [];
    return [{ name, port: number, protocol: textAt(port, "protocol") ?? "TCP", targetPort: name }];
  });
}

/**
 * The endpoint picker's Service, where the operator runs a scheduler. Throws `PassError` when the port that gateways dial is
 * not among the container ports: the pool would point into the void.
 */
export function buildSchedulerService(pass: Pass): readonly KubeObject[] {
  const name = pickerServiceName(pass);
  if (!runsScheduler(pass) || name === undefined) return [];
  const scheduler = at(pass.spec, "router", "scheduler");
  const ports = exposedPorts(at(scheduler, "template"));
  const dialled = integerOf(at(scheduler, "pool", "spec", "endpointPickerRef", "port", "number"));
  if (ports.length === 0 || (dialled !== undefined && !ports.some((port) => port["port"] === dialled)))
    throw new PassError(
      "EPPPortMissing",
      `spec.router.scheduler.template: no container port named ${EXPOSED.join(", ")} has the number ${dialled ?? "of the endpoint picker"} that pool.spec.endpointPickerRef.port names: add it to the ports of container main`,
    );
  const labels = componentLabels(pass.name, COMPONENTS.scheduler);
  return [
    child(
      pass,
      KINDS.Service,
      { name, labels },
      { spec: { type: "ClusterIP", selector: { ...schedulerPodLabels(pass) }, ports } },
    ),
  ];
}
