import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { at, listAt, textAt } from "../../crds/json.ts";
import { integerOf, objectsOf, stringsOf } from "../json-edit.ts";
import type { Pass } from "../llminferenceservice/pass.ts";
import { MAIN_CONTAINER, editContainer } from "./pod.ts";

const MODULES_FLAG = "--lora-modules";

/** One entry of `spec.model.lora.adapters`. */
export interface LoraAdapter {
  readonly name: string;
  readonly uri: string;
}

const byName = (left: LoraAdapter, right: LoraAdapter): number =>
  left.name < right.name ? -1 : left.name > right.name ? 1 : 0;

/** The LoRA adapters of a spec, sorted by name. */
export function loraAdapters(spec: JsonObject): readonly LoraAdapter[] {
  return objectsOf(at(spec, "model", "lora", "adapters"))
    .map((adapter) => ({ name: textAt(adapter, "name") ?? "", uri: textAt(adapter, "uri") ?? "" }))
    .sort(byName);
}

/** Short names of the models that a service of that name serves by its spec, sorted. */
export function modelNames(service: string, spec: JsonObject): readonly string[] {
  const adapters = loraAdapters(spec).map((adapter) => adapter.name);
  return [...new Set([textAt(spec, "model", "name") ?? service, ...adapters])].sort();
}

/** Folder name of an adapter: characters outside `[A-Za-z0-9._-]` become dashes. */
export function adapterFolder(name: string): string {
  const folder = name.replace(/[^A-Za-z0-9._-]/g, "-");
  return folder === "" || folder === "." || folder === ".." ? "adapter" : folder;
}

/** The name under which a model is routed across services of a gateway. */
export function qualifiedModelName(namespace: string, model: string): string {
  return `publishers/${namespace}/models/${model}`;
}

function moduleArgument(name: string, folder: string): string {
  return `'${JSON.stringify({ name, path: `/mnt/lora/${folder}` })}'`;
}

function limitArguments(lora: Json | undefined): string[] {
  const flag = (name: string, field: string): string[] => {
    const value = integerOf(at(lora, field));
    return value === undefined ? [] : [`--${name}=${value}`];
  };
  return [
    ...flag("max-lora-rank", "maxRank"),
    ...flag("max-loras", "maxAdapters"),
    ...flag("max-cpu-loras", "maxCpuAdapters"),
  ];
}

function namesModules(container: JsonObject): boolean {
  const extra = objectsOf(container["env"])
    .filter((variable) => variable["name"] === "VLLM_ADDITIONAL_ARGS")
    .flatMap((variable) => textAt(variable, "value") ?? []);
  const texts = [
    ...extra,
    ...stringsOf(listAt(container, "command") as Json[]),
    ...stringsOf(listAt(container, "args") as Json[]),
  ];
  return texts.some((text) => text.includes(MODULES_FLAG));
}

/**
 * The pod spec with the engine arguments of the LoRA adapters in front of the user's, unless the user names the modules. Each
 * adapter is served under its name and its qualified name; the quotes are for the shell of the workload presets.
 */
export function withLoraArguments(pass: Pass, pod: JsonObject): JsonObject {
  const adapters = loraAdapters(pass.spec);
  if (adapters.length === 0 || at(pass.spec, "storageInitializer", "enabled") === false) return pod;
  const modules = adapters.flatMap(({ name }) =>
    [name, qualifiedModelName(pass.namespace, name)].map((served) => moduleArgument(served, adapterFolder(name))),
  );
  const args = ["--enable-lora", ...limitArguments(at(pass.spec, "model", "lora")), MODULES_FLAG, ...modules];
  return editContainer(pod, MAIN_CONTAINER, (main) =>
    namesModules(main) ? main : { ...main, args: [...args, ...stringsOf(main["args"])] },
  );
}
