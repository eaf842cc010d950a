import type { JsonObject } from "../../crds/schema/types.ts";
import { appendNamed, compact, editNamed, named, objectsOf, withoutNamed } from "../json-edit.ts";

/** Name of the container that serves the model, or picks endpoints in a scheduler pod. */
export const MAIN_CONTAINER = "main";

/** The pod spec with one of its containers changed; unchanged where no container has the name. */
export function editContainer(pod: JsonObject, name: string, edit: (container: JsonObject) => JsonObject): JsonObject {
  return named(pod["containers"], name) === undefined
    ? pod
    : { ...pod, containers: editNamed(pod["containers"], name, edit) };
}

/** The pod spec with one of its init containers changed; unchanged where none has the name. */
export function editInitContainer(
  pod: JsonObject,
  name: string,
  edit: (container: JsonObject) => JsonObject,
): JsonObject {
  return named(pod["initContainers"], name) === undefined
    ? pod
    : { ...pod, initContainers: editNamed(pod["initContainers"], name, edit) };
}

/** The pod spec with a volume at the end, unless one has its name already. */
export function withVolume(pod: JsonObject, volume: JsonObject): JsonObject {
  return { ...pod, volumes: appendNamed(pod["volumes"], volume) };
}

/** The container with a mount at the end. A volume the user mounted already keeps the user's place. */
export function withMount(container: JsonObject, mount: JsonObject): JsonObject {
  return { ...container, volumeMounts: appendNamed(container["volumeMounts"], mount) };
}

/** The container with a mount at the end, even if its volume is mounted elsewhere too. */
export function withFurtherMount(container: JsonObject, mount: JsonObject): JsonObject {
  const mounts = objectsOf(container["volumeMounts"]);
  return mounts.some((existing) => existing["mountPath"] === mount["mountPath"])
    ? container
    : { ...container, volumeMounts: [...mounts, mount] };
}

/** The container with environment variables at the end; one that is set already keeps its value and place. */
export function withEnv(container: JsonObject, variables: readonly JsonObject[]): JsonObject {
  if (variables.length === 0) return container;
  return {
    ...container,
    env: variables.reduce<JsonObject[]>(
      (env, variable) => appendNamed(env, variable),
      [...objectsOf(container["env"])],
    ),
  };
}

/** The pod spec without the init container of that name; the key goes with the last one. */
export function withoutInitContainer(pod: JsonObject, name: string): JsonObject {
  if (named(pod["initContainers"], name) === undefined) return pod;
  const rest = withoutNamed(pod["initContainers"], name);
  const { initContainers: _removed, ...others } = pod;
  return rest.length === 0 ? others : { ...others, initContainers: rest };
}

/** The pod spec with an init container at the end. */
export function withInitContainer(pod: JsonObject, container: JsonObject): JsonObject {
  return { ...pod, initContainers: [...objectsOf(pod["initContainers"]), container] };
}

/** An environment variable with a plain value. */
export function env(name: string, value: string): JsonObject {
  return { name, value };
}

/** An environment variable from a key of a Secret. */
export function secretEnv(name: string, secret: string, key: string): JsonObject {
  return { name, valueFrom: { secretKeyRef: { name: secret, key } } };
}

/** A volume mount; false and empty parts are left out. */
export function mount(
  name: string,
  mountPath: string,
  options: { readOnly?: boolean; subPath?: string } = {},
): JsonObject {
  return compact({
    name,
    mountPath,
    readOnly: options.readOnly === true ? true : undefined,
    subPath: options.subPath === undefined || options.subPath === "" ? undefined : options.subPath,
  });
}
