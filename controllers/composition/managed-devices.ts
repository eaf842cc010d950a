import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { childName, childParent } from "../../templates/child-name.ts";
import { isObject, listAt, objectAt } from "../../crds/json.ts";
import type { CompositionError, ObjectMetadata } from "./types.ts";

/** Annotations of a service that ask for devices by dynamic resource allocation (KServe v0.20, experimental there). */
const ANNOTATIONS = {
  deviceClass: "serving.kserve.io/exp-dra-device-class",
  count: "serving.kserve.io/exp-dra-device-count",
  selectors: "serving.kserve.io/exp-dra-cel-selector",
  container: "serving.kserve.io/exp-dra-container-name",
} as const;

/** Name of the claim in every pod. */
const CLAIM = "managed-device";

/** Devices that every pod of a service claims. */
export interface ManagedDevices {
  readonly deviceClass: string;
  readonly count: number;
  /** CEL expressions that a device has to satisfy, all of them. */
  readonly selectors: readonly string[];
  /** Container that uses the devices. */
  readonly container: string;
}

type Annotations = Readonly<Record<string, string>>;

/** The devices that the annotations of a service ask for; undefined where they name no device class. */
export function managedDevices(annotations: Annotations = {}): ManagedDevices | undefined {
  const read = (annotation: string): string => annotations[annotation]?.trim() ?? "";
  const deviceClass = read(ANNOTATIONS.deviceClass);
  if (deviceClass === "") return undefined;
  const lines = read(ANNOTATIONS.selectors)
    .split("\n")
    .map((line) => line.trim());
  return {
    deviceClass,
    count: Number(read(ANNOTATIONS.count) || "1"),
    selectors: lines.filter((line) => line !== ""),
    container: read(ANNOTATIONS.container) || "main",
  };
}

/** What is wrong with the annotations. */
export function managedDeviceErrors(annotations: Annotations = {}): readonly CompositionError[] {
  const count = managedDevices(annotations)?.count ?? 1;
  if (Number.isSafeInteger(count) && count > 0) return [];
  const value = JSON.stringify(annotations[ANNOTATIONS.count]);
  return [{ path: `metadata.annotations[${ANNOTATIONS.count}]`, message: `${value} must be a positive integer` }];
}

/** Name of the ResourceClaimTemplate of a service. */
export function claimTemplateName(service: string): string {
  return childName(childParent(service), "-managed-dra");
}

const isNamed = (container: Json, name: string): boolean => isObject(container) && container["name"] === name;

function withClaim(container: Json): Json {
  if (!isObject(container)) return container;
  const resources = objectAt(container, "resources") ?? {};
  const others = listAt(resources, "claims").filter((claim) => !isNamed(claim, CLAIM));
  return { ...container, resources: { ...resources, claims: [...others, { name: CLAIM }] } };
}

function withDevices(pod: JsonObject, devices: ManagedDevices, template: string): JsonObject {
  const claim = { name: CLAIM, resourceClaimTemplateName: template };
  const containers = listAt(pod, "containers").map((container) =>
    isNamed(container, devices.container) ? withClaim(container) : container,
  );
  return {
    ...pod,
    ...(containers.length > 0 ? { containers } : {}),
    resourceClaims: [...listAt(pod, "resourceClaims").filter((item) => !isNamed(item, CLAIM)), claim],
  };
}

function editPods(workload: JsonObject, edit: (pod: JsonObject) => JsonObject): JsonObject {
  const pods = ["template", "worker"].flatMap((key) => {
    const pod = objectAt(workload, key);
    return pod === undefined ? [] : [[key, edit(pod)] as const];
  });
  return { ...workload, ...Object.fromEntries(pods) };
}

/** The spec with the claimed devices in every pod that serves the model. */
export function withManagedDevices(spec: JsonObject, metadata: ObjectMetadata): JsonObject {
  const devices = managedDevices(metadata.annotations);
  if (devices === undefined) return spec;
  const edit = (pod: JsonObject): JsonObject => withDevices(pod, devices, claimTemplateName(metadata.name));
  const prefill = objectAt(spec, "prefill");
  return { ...editPods(spec, edit), ...(prefill === undefined ? {} : { prefill: editPods(prefill, edit) }) };
}
