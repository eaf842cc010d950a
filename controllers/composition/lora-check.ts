import type { JsonObject } from "../../crds/schema/types.ts";
import { at, listAt, textAt } from "../../crds/json.ts";
import type { CompositionError } from "./types.ts";

const DOWNLOADED = /^(hf|s3|pvc):\/\//;

/** Why the LoRA adapters of a spec cannot be served: adapters need the storage initializer, and a scheme that it mounts. */
export function loraErrors(spec: JsonObject): readonly CompositionError[] {
  const disabled = at(spec, "storageInitializer", "enabled") === false;
  return listAt(spec, "model", "lora", "adapters").flatMap((adapter, index) => {
    const uri = textAt(adapter, "uri") ?? "";
    const path = `spec.model.lora.adapters[${index}].uri`;
    if (!DOWNLOADED.test(uri))
      return [{ path, message: `${JSON.stringify(uri)} must be an hf://, s3:// or pvc:// URI` }];
    return disabled
      ? [{ path, message: `${JSON.stringify(uri)} cannot be loaded while spec.storageInitializer.enabled is false` }]
      : [];
  });
}
