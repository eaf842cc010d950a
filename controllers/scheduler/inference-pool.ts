import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { type Resource, KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, listAt, objectAt } from "../../crds/json.ts";
import { compact } from "../json-edit.ts";
import { COMPONENTS, componentLabels } from "../labels.ts";
import { type Pass, PassError, child } from "../llminferenceservice/pass.ts";
import { routedPool } from "../router/pool-version.ts";
import { runsScheduler } from "../router/pool-reference.ts";

/** Spec of the pool in the older API: one port, a plain selector map, `extensionRef` instead of `endpointPickerRef`. */
export function olderPoolSpec(spec: JsonObject): JsonObject {
  const picker = at(spec, "endpointPickerRef");
  return compact({
    selector: objectAt(spec, "selector", "matchLabels"),
    targetPortNumber: at(listAt(spec, "targetPorts")[0], "number"),
    extensionRef: compact({
      group: at(picker, "group"),
      kind: at(picker, "kind"),
      name: at(picker, "name"),
      portNumber: at(picker, "port", "number"),
      failureMode: at(picker, "failureMode"),
    }),
  });
}

function pool(pass: Pass, resource: Resource, spec: Json): KubeObject {
  const metadata = { name: pass.names.pool, labels: componentLabels(pass.name, COMPONENTS.scheduler) };
  return child(pass, resource, metadata, { spec });
}

/** The InferencePool of a service with a scheduler: v1, and its older twin where the gateway can only route to that. */
export function buildInferencePools(pass: Pass): readonly KubeObject[] {
  const spec = objectAt(pass.spec, "router", "scheduler", "pool", "spec");
  if (!runsScheduler(pass) || spec === undefined) return [];
  const [v1, older] = [pass.cluster.serves(KINDS.InferencePool), pass.cluster.serves(KINDS.InferencePoolV1Alpha2)];
  if (!v1 && !older)
    throw new PassError(
      "InferencePoolAPINotInstalled",
      "spec.router.scheduler: the cluster serves no InferencePool (inference.networking.k8s.io/v1): install the CRDs of the Gateway API inference extension",
    );
  const twin = older && (!v1 || routedPool(pass) === "older");
  return [
    ...(v1 ? [pool(pass, KINDS.InferencePool, spec)] : []),
    ...(twin ? [pool(pass, KINDS.InferencePoolV1Alpha2, olderPoolSpec(spec))] : []),
  ];
}
