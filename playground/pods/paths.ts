/** A path inside a container and the directory or file of this machine that stands for it. */
export interface PathMapping {
  readonly containerPath: string;
  readonly hostPath: string;
}

/**
 * Replaces container paths in a command, an argument or a variable by the paths that stand for them, since processes of the
 * playground share the machine's file system: whole path components only, the longest mapping first, in one pass.
 */
export function rewritePaths(text: string, mappings: readonly PathMapping[]): string {
  if (mappings.length === 0 || !text.includes("/")) return text;
  const byPath = new Map(mappings.map((mapping) => [trimSlash(mapping.containerPath), mapping.hostPath]));
  const alternatives = [...byPath.keys()].sort((left, right) => right.length - left.length).map(escapeRegex);
  const pattern = new RegExp(`(?<![\\w./-])(?:${alternatives.join("|")})(?![\\w.-])`, "g");
  return text.replace(pattern, (path) => byPath.get(path) ?? path);
}

function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
