import { objectAt } from "../../crds/json.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type ClusterView, asJson } from "../llminferenceservice/pass.ts";
import { modelNames } from "../workload/lora.ts";
import { groupName } from "./group.ts";

/** A model name that other services of the namespace serve, too. */
export interface ModelCollision {
  readonly model: string;
  /** Names of some of them, sorted. */
  readonly services: readonly string[];
}

/** Others that are looked at for each model: enough to name, and no more work where hundreds serve it. */
const LOOKED_AT = 6;

const specOf = (service: KubeObject) => objectAt(asJson(service), "spec") ?? {};

/** Keys of the models that a service serves, by which others that serve them are found. */
export function modelKeys({ kind, metadata, ...service }: KubeObject): readonly string[] {
  if (kind !== KINDS.LLMInferenceService.kind) return [];
  const models = modelNames(metadata.name, specOf({ kind, metadata, ...service }));
  return models.map((model) => `${metadata.namespace}/${model}`);
}

/**
 * Models of the service that others of its namespace serve, too, outside its routing group: requests that name the model
 * alone reach whichever route the gateway prefers.
 */
export function modelCollisions(service: KubeObject, cluster: ClusterView): readonly ModelCollision[] {
  const { namespace = "", name } = service.metadata;
  const group = groupName(specOf(service));
  const competes = (other: string): boolean => {
    const found = cluster.find(KINDS.LLMInferenceService, { namespace, name: other });
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return false;
    return group === undefined || groupName(specOf(found)) !== group;
  };
  return modelNames(name, specOf(service)).flatMap((model) => {
    const others = (cluster.serving?.(namespace, model) ?? []).filter((other) => other !== name);
    const services = others.slice(0, LOOKED_AT).filter(competes).sort();
    return services.length === 0 ? [] : [{ model, services }];
  });
}
