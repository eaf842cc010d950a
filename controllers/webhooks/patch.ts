import { isObject, sameJson } from "../../crds/json.ts";
import type { Json, JsonObject } from "../../crds/schema/types.ts";

/** One operation of a JSON patch (RFC 6902). */
export interface PatchOperation extends JsonObject {
  readonly op: "add" | "replace" | "remove";
  readonly path: string;
}

const escape = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** The JSON patch (RFC 6902) that turns one object into the other; lists are replaced as a whole. */
export function jsonPatch(before: JsonObject, after: JsonObject, path = ""): PatchOperation[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => difference(own(before, key), own(after, key), `${path}/${escape(key)}`));
}

/** The value of a key of the object itself: any text may be a key, such as `valueOf`. */
const own = (object: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

function difference(before: Json | undefined, after: Json | undefined, path: string): PatchOperation[] {
  if (after === undefined) return before === undefined ? [] : [{ op: "remove", path }];
  if (before === undefined) return [{ op: "add", path, value: after }];
  if (isObject(before) && isObject(after)) return jsonPatch(before, after, path);
  return sameJson(before, after) ? [] : [{ op: "replace", path, value: after }];
}
