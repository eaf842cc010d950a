import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { claimTemplateName, managedDevices } from "../composition/managed-devices.ts";
import { at, listAt, sameJson } from "../../crds/json.ts";
import { COMPONENTS, componentLabels } from "../labels.ts";
import { type Pass, PassError, child } from "../llminferenceservice/pass.ts";

/** The ResourceClaimTemplate of a service that asks for managed devices. */
export function buildClaimTemplate(pass: Pass): readonly KubeObject[] {
  const devices = managedDevices(pass.annotations);
  if (devices === undefined) return [];
  if (!pass.cluster.serves(KINDS.ResourceClaimTemplate))
    throw new PassError(
      "ResourceClaimAPINotServed",
      "metadata.annotations: managed devices need resource.k8s.io/v1 (Kubernetes 1.34): remove the exp-dra annotations or upgrade the cluster",
    );
  const exactly: JsonObject = {
    deviceClassName: devices.deviceClass,
    ...(devices.count > 1 ? { count: devices.count } : {}),
    ...(devices.selectors.length > 0
      ? { selectors: devices.selectors.map((expression) => ({ cel: { expression } })) }
      : {}),
  };
  const spec = { spec: { devices: { requests: [{ name: "device", exactly }] } } };
  const metadata = { name: claimTemplateName(pass.name), labels: componentLabels(pass.name, COMPONENTS.workload) };
  return [child(pass, KINDS.ResourceClaimTemplate, metadata, { spec })];
}

/** Whether two ResourceClaimTemplates ask for the same devices: what the API server fills in does not count. */
export function claimsSameDevices(live: JsonObject | undefined, wanted: JsonObject | undefined): boolean {
  const request = (object: JsonObject | undefined): JsonObject => {
    const exactly = at(listAt(object, "spec", "spec", "devices", "requests")[0], "exactly");
    const [deviceClass, count] = [at(exactly, "deviceClassName"), at(exactly, "count")];
    return { deviceClass: deviceClass ?? null, count: count ?? 1, selectors: [...listAt(exactly, "selectors")] };
  };
  return sameJson(request(live), request(wanted));
}
