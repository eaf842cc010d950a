import { at, textAt } from "../../crds/json.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { named, objectsOf } from "../json-edit.ts";
import { PassError } from "../llminferenceservice/pass.ts";
import { MAIN_CONTAINER } from "./pod.ts";

/** Where the model lies in the serving container, and where it is downloaded to. */
export const MODEL_PATH = "/mnt/models";

/** Volume that holds a downloaded model, or the link to one in an image. */
export const MODEL_VOLUME = "kserve-provision-location";

/** Who reads the model. */
export interface ModelTarget {
  readonly container: string;
  /** Folder of the model in that container. */
  readonly path: string;
  /** Whether it reads the LoRA adapters too. */
  readonly adapters: boolean;
}

/** The model server itself. */
export const SERVER_TARGET: ModelTarget = { container: MAIN_CONTAINER, path: MODEL_PATH, adapters: true };

/**
 * Throws `PassError` where the container has another volume where the model goes: the API server would refuse the pod. A user
 * may mount the volume of that name elsewhere.
 */
export function requireFreePath(
  pod: JsonObject,
  volume: string,
  { target, reason }: { readonly target: ModelTarget; readonly reason: string },
): void {
  const mounts = objectsOf(at(named(pod["containers"], target.container), "volumeMounts"));
  const other = mounts.find((mount) => mount["mountPath"] === target.path);
  if (other === undefined || other["name"] === volume || mounts.some((mount) => mount["name"] === volume)) return;
  throw new PassError(
    reason,
    `spec.template: container ${target.container} mounts volume ${textAt(other, "name") ?? ""} at ${target.path}, where the model goes: remove the mount, or set spec.storageInitializer.enabled to false if it holds the model`,
  );
}
