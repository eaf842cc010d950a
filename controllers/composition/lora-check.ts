import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { adapterFolder } from "../workload/lora.ts";
import { at, listAt, textAt } from "../../crds/json.ts";
import type { CompositionError } from "./types.ts";

const DOWNLOADED = /^(hf|s3|pvc):\/\//;

/** Why the LoRA adapters of a spec cannot be served: adapters need the storage initializer, and a scheme that it mounts. */
export function loraErrors(spec: JsonObject): readonly CompositionError[] {
  const adapters = listAt(spec, "model", "lora", "adapters");
  return [...sourceErrors(spec, adapters), ...folderErrors(adapters)];
}

function sourceErrors(spec: JsonObject, adapters: readonly Json[]): readonly CompositionError[] {
  const disabled = at(spec, "storageInitializer", "enabled") === false;
  return adapters.flatMap((adapter, index) => {
    const uri = textAt(adapter, "uri") ?? "";
    const path = `spec.model.lora.adapters[${index}].uri`;
    if (!DOWNLOADED.test(uri))
      return [{ path, message: `${JSON.stringify(uri)} must be an hf://, s3:// or pvc:// URI` }];
    return disabled
      ? [{ path, message: `${JSON.stringify(uri)} cannot be loaded while spec.storageInitializer.enabled is false` }]
      : [];
  });
}

/** Two adapters whose names differ only in what a folder's name cannot hold would overwrite each other. */
function folderErrors(adapters: readonly Json[]): readonly CompositionError[] {
  const taken = new Map<string, string>();
  return adapters.flatMap((adapter, index) => {
    const name = textAt(adapter, "name") ?? "";
    const folder = adapterFolder(name);
    const other = taken.get(folder);
    taken.set(folder, other ?? name);
    if (other === undefined || other === name) return [];
    const message = `${JSON.stringify(name)} and ${JSON.stringify(other)} have the same folder, /mnt/lora/${folder}: rename one`;
    return [{ path: `spec.model.lora.adapters[${index}].name`, message }];
  });
}
