import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { at, objectAt, textAt } from "../../crds/json.ts";
import { parseQuantity } from "../../kube/quantity.ts";
import { objectsOf } from "../json-edit.ts";
import { MAIN_CONTAINER, editContainer, mount, withMount, withVolume } from "./pod.ts";

const EPHEMERAL = "ephemeral-storage";

function tierVolume(name: string, fileSystem: Json | undefined): JsonObject | undefined {
  const size = at(fileSystem, "emptyDir", "size");
  if (objectAt(fileSystem, "emptyDir") !== undefined)
    return { name, emptyDir: size === undefined ? {} : { sizeLimit: size } };
  const spec = objectAt(fileSystem, "pvc", "spec");
  if (spec !== undefined) return { name, ephemeral: { volumeClaimTemplate: { spec } } };
  const claim = textAt(fileSystem, "pvc", "ref", "name");
  return claim === undefined ? undefined : { name, persistentVolumeClaim: { claimName: claim } };
}

/** Sum of two quantities in whole units: a plain number unless one side is absent. */
function added(current: Json | undefined, size: string): string {
  if (typeof current !== "string" && typeof current !== "number") return size;
  const [left, right] = [parseQuantity(String(current)), parseQuantity(size)];
  return left === undefined || right === undefined ? size : String((left + right) / 1_000_000_000n);
}

function withRequest(container: JsonObject, size: string): JsonObject {
  const requests = objectAt(container, "resources", "requests") ?? {};
  return {
    ...container,
    resources: {
      ...objectAt(container, "resources"),
      requests: { ...requests, [EPHEMERAL]: added(requests[EPHEMERAL], size) },
    },
  };
}

/** The pod spec with a volume for each secondary tier of `kvCacheOffloading`, at `/mnt/kv-cache-<i>` of the server. */
export function withKvCacheVolumes(pod: JsonObject, offloading: Json | undefined): JsonObject {
  return objectsOf(at(offloading, "secondary")).reduce((result, tier, index) => {
    const name = `kv-cache-secondary-${index}`;
    const fileSystem = at(tier, "fileSystem");
    const volume = tierVolume(name, fileSystem);
    if (volume === undefined) return result;
    const size = textAt(fileSystem, "emptyDir", "size");
    const subPath = textAt(fileSystem, "pvc", "ref", "path") ?? "";
    return editContainer(withVolume(result, volume), MAIN_CONTAINER, (main) =>
      withMount(
        size === undefined ? main : withRequest(main, size),
        mount(name, `/mnt/kv-cache-${index}`, { subPath }),
      ),
    );
  }, pod);
}
