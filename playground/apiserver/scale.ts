import type { JsonObject } from "../../crds/schema/types.ts";
import { internalError, invalid, noSuchPath } from "./errors.ts";
import type { ServedKind } from "./kinds.ts";
import { at, ensureObject, isObject, metaOf, nameOf, objectOf, textMap } from "./objects.ts";

const stepsOf = (path: string): string[] => path.split(".").filter((step) => step !== "");

function selectorText(value: unknown): string {
  if (typeof value === "string") return value;
  const labels = isObject(value) ? textMap(value["matchLabels"]) : {};
  return Object.entries(labels)
    .map(([key, text]) => `${key}=${text}`)
    .join(",");
}

/** Refuses to read what is not set. Errors: 404 for kinds without the sub-resource, 500 for a custom object without the field. */
export function refuseUnscaled(kind: ServedKind, object: JsonObject): void {
  if (kind.scale === undefined) throw noSuchPath();
  const { specReplicasPath } = kind.scale;
  if (kind.conversion === undefined || at(object, ...stepsOf(specReplicasPath)) !== undefined) return;
  throw internalError(`the spec replicas field ${JSON.stringify(specReplicasPath)} does not exist`);
}

/** The Scale object (autoscaling/v1) of an object. Errors: 404 for kinds without the sub-resource. */
export function scaleOf(kind: ServedKind, object: JsonObject): JsonObject {
  if (kind.scale === undefined) throw noSuchPath();
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = kind.scale;
  const replicas = at(object, ...stepsOf(specReplicasPath));
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metaOf(object);
  const selector = labelSelectorPath === undefined ? "" : selectorText(at(object, ...stepsOf(labelSelectorPath)));
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: {
      name: name!,
      namespace: namespace!,
      uid: uid!,
      resourceVersion: resourceVersion!,
      creationTimestamp: creationTimestamp!,
    },
    spec: { replicas: Number(replicas ?? 0) },
    status: {
      replicas: Number(at(object, ...stepsOf(statusReplicasPath)) ?? 0),
      ...(selector === "" ? {} : { selector }),
    },
  };
}

/** The object with the replicas of a Scale. Errors: 422 for a number that is none. */
export function withScale(kind: ServedKind, object: JsonObject, scale: JsonObject): JsonObject {
  if (kind.scale === undefined) throw noSuchPath();
  const replicas = at(scale, "spec", "replicas") ?? 0;
  const result = structuredClone(object);
  const steps = stepsOf(kind.scale.specReplicasPath);
  const parent = steps.slice(0, -1).reduce((current, step) => ensureObject(current, step), result);
  parent[steps.at(-1)!] = replicas;
  if (typeof replicas === "number" && replicas < 0 && kind.conversion !== undefined) {
    const path = kind.scale.specReplicasPath;
    const message = "should be a non-negative integer";
    const bySchema = kind.structural.validate(result).filter((error) => `.${error.path}` === path);
    const error = { path, kind: "Invalid" as const, value: replicas, message };
    throw invalid({ group: kind.group, kind: kind.kind, name: nameOf(object) }, [...bySchema, error]);
  }
  if (typeof replicas !== "number" || !Number.isInteger(replicas) || replicas < 0) {
    const error = {
      path: "spec.replicas",
      kind: "Invalid" as const,
      value: replicas,
      message: "must be greater than or equal to 0",
    };
    throw invalid({ group: "autoscaling", kind: "Scale", name: nameOf(object) }, [error]);
  }
  const version = objectOf(scale["metadata"])["resourceVersion"];
  if (version !== undefined) ensureObject(result, "metadata")["resourceVersion"] = version;
  return result;
}
