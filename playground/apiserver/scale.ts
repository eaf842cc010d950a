import type { JsonObject } from "../../crds/schema/types.ts";
import { invalid, noSuchPath } from "./errors.ts";
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

/** The Scale object (autoscaling/v1) of an object. Errors: 404 for kinds without the sub-resource. */
export function scaleOf(kind: ServedKind, object: JsonObject): JsonObject {
  if (kind.scale === undefined) throw noSuchPath();
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = kind.scale;
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
    spec: { replicas: Number(at(object, ...stepsOf(specReplicasPath)) ?? 0) },
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
  if (typeof replicas !== "number" || !Number.isInteger(replicas) || replicas < 0) {
    const error = {
      path: "spec.replicas",
      kind: "Invalid" as const,
      value: replicas,
      message: "must be greater than or equal to 0",
    };
    throw invalid({ group: "autoscaling", kind: "Scale", name: nameOf(object) }, [error]);
  }
  const result = structuredClone(object);
  const steps = stepsOf(kind.scale.specReplicasPath);
  const parent = steps.slice(0, -1).reduce((current, step) => ensureObject(current, step), result);
  parent[steps.at(-1)!] = replicas;
  const version = objectOf(scale["metadata"])["resourceVersion"];
  if (version !== undefined) ensureObject(result, "metadata")["resourceVersion"] = version;
  return result;
}
