import { at, isObject, listAt, numberAt, objectAt, textAt } from "../json.ts";
import { typeName } from "../schema/paths.ts";
import type { Json, JsonObject } from "../schema/types.ts";
import type { Collector } from "./findings.ts";
import { urlProblem } from "./url.ts";

const LORA = "spec.model.lora";
const ADAPTERS = `${LORA}.adapters`;

/** Checks the model of a service, its LoRA adapters, and how its files are encrypted. */
export function checkModel(found: Collector, object: JsonObject): void {
  checkModelTypes(found, object);
  checkAdapters(found, object);
  checkConfidential(found, object);
}

/**
 * Checks what KServe's types ask of a model and its schema does not: URLs, and the adapters, of which the schema says nothing.
 * A URL that is a template is not looked at.
 */
export function checkModelTypes(found: Collector, object: JsonObject): void {
  checkUri(found, "spec.model.uri", at(object, "spec", "model", "uri"));
  const adapters = at(object, "spec", "model", "lora", "adapters");
  if (adapters === undefined || adapters === null) return;
  if (!Array.isArray(adapters)) return wrongType(found, ADAPTERS, adapters, "array");
  adapters.forEach((adapter, index) => {
    const path = `${ADAPTERS}[${index}]`;
    if (!isObject(adapter)) return wrongType(found, path, adapter, "object");
    for (const [name, type] of Object.entries(ADAPTER_FIELDS)) checkType(found, `${path}.${name}`, adapter[name], type);
    checkUri(found, `${path}.uri`, adapter["uri"]);
  });
}

/** Fields of an adapter that are acted on or kept. */
const ADAPTER_FIELDS: Readonly<Record<string, string>> = {
  name: "string",
  uri: "string",
  criticality: "string",
  lora: "object",
};

function checkType(found: Collector, path: string, value: Json | undefined, type: string): void {
  if (value !== undefined && value !== null && typeName(value) !== type) wrongType(found, path, value, type);
}

function wrongType(found: Collector, path: string, value: Json, type: string): void {
  const actual = typeName(value);
  found.add("TypeInvalid", path, `${path} in body must be of type ${type}: ${JSON.stringify(actual)}`, actual);
}

function checkUri(found: Collector, path: string, value: Json | undefined): void {
  if (typeof value !== "string" || value.includes("{{")) return;
  const problem = urlProblem(value);
  if (problem !== undefined) found.add("Invalid", path, `must be a URL such as hf://org/model: ${problem}`, value);
}

function checkAdapters(found: Collector, object: JsonObject): void {
  for (const name of ["maxRank", "maxAdapters", "maxCpuAdapters"]) {
    const value = numberAt(object, "spec", "model", "lora", name);
    if (value !== undefined && value < 1) found.add("Invalid", `${LORA}.${name}`, "must be at least 1", value);
  }
  const base = textAt(object, "spec", "model", "name") ?? textAt(object, "metadata", "name");
  const seen = new Map<string, number>();
  listAt(object, "spec", "model", "lora", "adapters").forEach((adapter, index) => {
    const given = objectAt(adapter)?.["name"] ?? "";
    // What is no text has been told already.
    if (!isObject(adapter) || typeof given !== "string") return;
    checkAdapterName(found, `${ADAPTERS}[${index}].name`, given, { base, earlier: seen.get(given) });
    if (!seen.has(given)) seen.set(given, index);
  });
}

function checkAdapterName(
  found: Collector,
  path: string,
  name: string,
  { base, earlier }: { readonly base: string | undefined; readonly earlier: number | undefined },
): void {
  if (name === "") return found.add("Required", path, "an adapter needs a name");
  if (name === "." || name === "..") found.add("Invalid", path, "must not be a path", name);
  if (name === base) found.add("Invalid", path, "must differ from the name of the base model", name);
  if (earlier !== undefined) found.add("Invalid", path, `is the name of adapters[${earlier}] too`, name);
}

const KEY_BROKER_ID = /^kbs:\/\/\/[\w.-]+\/[\w.-]+\/[\w.-]+$/;

function checkConfidential(found: Collector, object: JsonObject): void {
  if (at(object, "spec", "model", "confidential", "enabled") !== true) return;
  const uri = textAt(object, "spec", "model", "uri") ?? "";
  const scheme = /^(oci|pvc):/.exec(uri)?.[1];
  if (scheme !== undefined) found.warn(`spec.model.confidential has no effect on ${scheme}:// models`);
  const id = textAt(object, "spec", "model", "confidential", "resourceId") ?? "";
  if (id !== "" && !KEY_BROKER_ID.test(id))
    found.add("Invalid", "spec.model.confidential.resourceId", "must have the form kbs:///repository/type/tag", id);
}
