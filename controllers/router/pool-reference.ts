import { KINDS } from "../../kube/resources.ts";
import { objectAt, textAt } from "../../crds/json.ts";
import { type Pass, asJson } from "../llminferenceservice/pass.ts";

/** Name of an InferencePool that the service uses instead of one of its own; undefined: the operator makes one. */
export function referencedPool(pass: Pass): string | undefined {
  const name = textAt(pass.spec, "router", "scheduler", "pool", "ref", "name");
  return name === "" ? undefined : name;
}

/** Name of the InferencePool that routes to the service: the referenced one, else the operator's. */
export function poolName(pass: Pass): string {
  return referencedPool(pass) ?? pass.names.pool;
}

/** Whether the service has a scheduler, its own or that of a referenced pool. */
export function usesScheduler(pass: Pass): boolean {
  return objectAt(pass.spec, "router", "scheduler") !== undefined;
}

/** Whether the operator runs a scheduler for the service. */
export function runsScheduler(pass: Pass): boolean {
  return objectAt(pass.spec, "router", "scheduler", "template") !== undefined && referencedPool(pass) === undefined;
}

/** The endpoint picker's Service: that of the service's own pool, else that of the live referenced pool; undefined without a scheduler. */
export function pickerServiceName(pass: Pass): string | undefined {
  const referenced = referencedPool(pass);
  if (!usesScheduler(pass)) return undefined;
  if (referenced === undefined) {
    const name = textAt(pass.spec, "router", "scheduler", "pool", "spec", "endpointPickerRef", "name");
    return name === undefined || name === "" ? pass.names.pickerService : name;
  }
  const key = { namespace: pass.namespace, name: referenced };
  const pool = asJson(pass.cluster.find(KINDS.InferencePool, key));
  const older = asJson(pass.cluster.find(KINDS.InferencePoolV1Alpha2, key));
  return textAt(pool, "spec", "endpointPickerRef", "name") ?? textAt(older, "spec", "extensionRef", "name");
}
