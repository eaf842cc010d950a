import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { at, objectAt, textAt } from "../../crds/json.ts";
import { addQuantities, canonicalQuantity } from "../../kube/quantity.ts";
import { withCanonicalQuantities } from "../composition/quantities.ts";
import { objectsOf } from "../json-edit.ts";
import { MAIN_CONTAINER, editContainer, mount, withMount, withVolume } from "./pod.ts";

const EPHEMERAL = "ephemeral-storage";

function tierVolume(name: string, fileSystem: Json | undefined): JsonObject | undefined {
  const size = sizeOf(fileSystem);
  if (objectAt(fileSystem, "emptyDir") !== undefined)
    return { name, emptyDir: size === undefined ? {} : { sizeLimit: size } };
  const spec = objectAt(fileSystem, "pvc", "spec");
  if (spec !== undefined) return { name, ephemeral: { volumeClaimTemplate: { spec: withCanonicalQuantities(spec) } } };
  const claim = textAt(fileSystem, "pvc", "ref", "name");
  return claim === undefined ? undefined : { name, persistentVolumeClaim: { claimName: claim } };
}

/** A quantity may be written as a number. */
const quantityText = (value: Json | undefined): string | undefined =>
  typeof value === "string" || typeof value === "number" ? canonicalQuantity(String(value)) : undefined;

const sizeOf = (fileSystem: Json | undefined): string | undefined => quantityText(at(fileSystem, "emptyDir", "size"));

function withRequest(container: JsonObject, size: string): JsonObject {
  const requests = objectAt(container, "resources", "requests") ?? {};
  return {
    ...container,
    resources: {
      ...objectAt(container, "resources"),
      requests: { ...requests, [EPHEMERAL]: addQuantities(quantityText(requests[EPHEMERAL]) ?? "0", size) ?? size },
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
    const size = sizeOf(fileSystem);
    const subPath = textAt(fileSystem, "pvc", "ref", "path") ?? "";
    return editContainer(withVolume(result, volume), MAIN_CONTAINER, (main) =>
      withMount(
        size === undefined ? main : withRequest(main, size),
        mount(name, `/mnt/kv-cache-${index}`, { subPath }),
      ),
    );
  }, pod);
}
