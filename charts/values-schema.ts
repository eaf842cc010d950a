import { parseYaml } from "../kube/yaml.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";

/** The comment above each key of a values file, by its dotted path; nested keys are indented by two spaces. */
export function commentsByPath(values: string): ReadonlyMap<string, string> {
  const comments = new Map<string, string>();
  const path: string[] = [];
  let comment: string[] = [];
  for (const line of values.split("\n")) {
    const [, indent = "", note, key] = /^( *)(?:# ?(.*)|([\w-]+):.*)$/.exec(line) ?? [];
    if (note !== undefined) comment.push(note);
    if (key !== undefined) {
      path.splice(indent.length / 2, path.length, key);
      if (comment.length > 0) comments.set(path.join("."), comment.join(" "));
    }
    if (note === undefined) comment = [];
  }
  return comments;
}

/**
 * The JSON schema (draft 7) that Helm checks values by, from a values file: each default gives the type, the comment above
 * it the description. An object without defaults, and any list, may hold anything.
 */
export function valuesSchema(values: string): JsonObject {
  const comments = commentsByPath(values);
  const schema = schemaOf(parseYaml(values) as Json, "", comments);
  return { $schema: "http://json-schema.org/draft-07/schema#", ...schema };
}

function schemaOf(value: Json, path: string, comments: ReadonlyMap<string, string>): JsonObject {
  const description = comments.get(path);
  return { ...(description === undefined ? {} : { description }), ...typeOf(value, path, comments) };
}

function typeOf(value: Json, path: string, comments: ReadonlyMap<string, string>): JsonObject {
  if (Array.isArray(value)) return { type: "array" };
  if (typeof value !== "object" || value === null) return { type: typeof value };
  const entries = Object.entries(value);
  if (entries.length === 0) return { type: "object" };
  const properties = entries.map(([key, inner]) => {
    const place = path === "" ? key : `${path}.${key}`;
    return [key, schemaOf(inner, place, comments)] as const;
  });
  return { type: "object", additionalProperties: FREE_FORM.test(path), properties: Object.fromEntries(properties) };
}

/** Objects that Kubernetes defines: their defaults are examples of what they may hold. Helm adds `global` at the top. */
const FREE_FORM = /^(strategy|resources|config\.ingress)|^.*\.(labels|annotations)$/;
