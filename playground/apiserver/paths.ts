/** What a URL path of the resource API names. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly plural: string;
  readonly name: string;
  readonly subresource: string;
}

/** Sub-resources of Namespace itself; anything else after a namespace's name is a kind in it. */
const NAMESPACE_SUBRESOURCES = new Set(["status", "finalize"]);

/**
 * Reads `/api/v1/…` and `/apis/{group}/{version}/…`; undefined for other paths. Escapes are decoded after splitting.
 * Throws URIError for a broken escape.
 */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const [root, ...rest] = path
    .split("/")
    .filter((step) => step !== "")
    .map(decodeURIComponent);
  if (root !== "api" && root !== "apis") return undefined;
  const group = root === "api" ? "" : rest.shift();
  const version = rest.shift();
  if (group === undefined || version === undefined || rest.length === 0) return undefined;
  const scoped =
    rest[0] === "namespaces" && rest.length > 2 && !(rest.length === 3 && NAMESPACE_SUBRESOURCES.has(rest[2]!));
  const [plural = "", name = "", subresource = "", extra] = scoped ? rest.slice(2) : rest;
  if (extra !== undefined) return undefined;
  return { group, version, namespace: scoped ? rest[1]! : "", plural, name, subresource };
}
