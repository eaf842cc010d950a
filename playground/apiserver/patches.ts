import { StrategicMergeError, strategicMerge } from "../../crds/schema/strategic-merge.ts";
import type { Json, JsonObject, JsonSchema } from "../../crds/schema/types.ts";
import { ApiError, badRequest } from "./errors.ts";
import { equalJson, isObject, objectOf, textOf } from "./objects.ts";

/** RFC 7386. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** A strategic merge patch over a kind's schema. Errors: 400. */
export function strategicPatch(target: JsonObject, patch: Json, schema: JsonSchema): JsonObject {
  try {
    return objectOf(strategicMerge(target, patch, schema));
  } catch (error) {
    if (error instanceof StrategicMergeError) throw badRequest(error.message);
    throw error;
  }
}

const MAX_OPERATIONS = 10_000;

/** RFC 6902. Errors: 400 for a malformed patch, 422 for one that does not fit the object. */
export function jsonPatch(target: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch)) throw badRequest("a JSON patch is a list of operations");
  if (patch.length > MAX_OPERATIONS) throw badRequest(`a JSON patch has at most ${MAX_OPERATIONS} operations`);
  let document: Json = structuredClone(target);
  for (const operation of patch) document = applyOperation(document, objectOf(operation));
  if (!isObject(document)) throw unfit("the patch replaces the object by something else");
  return document;
}

const unfit = (message: string): ApiError =>
  new ApiError(422, "Invalid", `the server rejected our request due to an error in our request: ${message}`, {});

function pointer(value: Json | undefined): string[] {
  const text = textOf(value);
  if (typeof value !== "string" || (text !== "" && !text.startsWith("/")))
    throw badRequest(`JSON patch: ${JSON.stringify(value ?? null)} is no JSON pointer`);
  return text
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function applyOperation(document: Json, operation: JsonObject): Json {
  const path = pointer(operation["path"]);
  switch (textOf(operation["op"])) {
    case "add":
      return put(document, path, operation["value"] ?? null, "insert");
    case "replace":
      return put(document, path, operation["value"] ?? null, "set");
    case "remove":
      return remove(document, path);
    case "test":
      if (!equalJson(read(document, path), operation["value"] ?? null))
        throw unfit(`testing path ${textOf(operation["path"])} failed`);
      return document;
    case "move": {
      const value = read(document, pointer(operation["from"]));
      return put(remove(document, pointer(operation["from"])), path, value, "insert");
    }
    case "copy":
      return put(document, path, structuredClone(read(document, pointer(operation["from"]))), "insert");
    default:
      throw unfit(`unknown operation ${JSON.stringify(operation["op"] ?? null)}`);
  }
}

function indexOf(list: readonly Json[], step: string, end: number): number {
  const index = step === "-" ? list.length : /^(0|[1-9]\d*)$/.test(step) ? Number(step) : -1;
  if (index < 0 || index > end) throw unfit(`index ${JSON.stringify(step)} is outside the list`);
  return index;
}

function read(document: Json, path: readonly string[]): Json {
  let current: Json | undefined = document;
  for (const step of path) {
    if (Array.isArray(current)) current = current[indexOf(current, step, current.length - 1)];
    else current = isObject(current) && Object.hasOwn(current, step) ? current[step] : undefined;
    if (current === undefined) throw unfit(`the path /${path.join("/")} does not exist`);
  }
  return current;
}

function put(document: Json, path: readonly string[], value: Json, how: "insert" | "set"): Json {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = indexOf(parent, last, how === "insert" ? parent.length : parent.length - 1);
    parent.splice(index, how === "insert" ? 0 : 1, value);
  } else if (isObject(parent))
    Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
  else throw unfit(`the parent of /${path.join("/")} is no container`);
  return document;
}

function remove(document: Json, path: readonly string[]): Json {
  const last = path.at(-1);
  if (last === undefined) throw unfit("the whole object cannot be removed");
  read(document, path);
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(indexOf(parent, last, parent.length - 1), 1);
  else delete objectOf(parent)[last];
  return document;
}
