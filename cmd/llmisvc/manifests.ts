import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { YamlError, parseYamlDocuments } from "../../kube/yaml.ts";

type Plain = ReturnType<typeof parseYamlDocuments>[number];

/** One document of a YAML stream. */
export interface Manifest {
  /** File and, where it holds several documents, which of them, counted from 1. */
  readonly place: string;
  readonly object: { [key: string]: Plain };
}

/** A file that cannot be read as manifests; the message names it, the cause and where possible the line. */
export class ManifestError extends Error {}

const MANIFEST_NAME = /\.(ya?ml|json)$/;

function isSystemError(error: unknown): error is { readonly message: string } {
  return typeof error === "object" && error !== null && "code" in error && "message" in error;
}

/** Files of a folder and those below it, by name; anything else is itself. */
function filesOf(path: string): readonly string[] {
  if (path === "-" || !statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap((entry) => {
      const full = join(path, entry.name);
      if (entry.isDirectory()) return filesOf(full);
      return MANIFEST_NAME.test(entry.name) ? [full] : [];
    });
}

function isDocument(value: Plain): value is { [key: string]: Plain } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A `List`, as kubectl and kustomize write it, stands for its items. */
function itemsOf(object: { [key: string]: Plain }): readonly Plain[] {
  const { kind, items } = object;
  return typeof kind === "string" && kind.endsWith("List") && Array.isArray(items) ? items : [object];
}

function documentsOf(file: string): readonly Manifest[] {
  const text = readFileSync(file === "-" ? 0 : file, "utf8");
  const name = file === "-" ? "standard input" : file;
  const documents = parseYamlDocuments(text).filter((document) => document !== null);
  return documents.flatMap((document, index) => {
    const place = documents.length === 1 ? name : `${name}, document ${index + 1}`;
    if (!isDocument(document)) throw new ManifestError(`${place}: must be a mapping with apiVersion and kind`);
    return itemsOf(document).map((object) => {
      if (!isDocument(object)) throw new ManifestError(`${place}: items must be mappings`);
      return { place, object };
    });
  });
}

/**
 * The documents of files, of all YAML and JSON files of folders, and of the standard input (`-`), in order; the items of
 * lists one by one. Errors: `ManifestError`.
 */
export function readManifests(paths: readonly string[]): readonly Manifest[] {
  return paths.flatMap((path) => {
    try {
      return filesOf(path).flatMap(documentsOf);
    } catch (error) {
      if (error instanceof ManifestError) throw error;
      if (error instanceof YamlError) throw new ManifestError(`${path}: ${error.message}`);
      // What the file system says names the file itself.
      if (isSystemError(error)) throw new ManifestError(error.message);
      throw error;
    }
  });
}
