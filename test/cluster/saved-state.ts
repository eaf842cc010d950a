import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { KubeObject } from "../../kube/types.ts";
import { cacheRoot } from "./toolbox.ts";
import { type Release, VERSIONS } from "./versions.ts";

/** A store with definitions in it. */
export interface SavedState {
  /** Whether one is saved. */
  exists(): boolean;
  /** Copies it to a data folder of etcd; false where none is saved. */
  restore(folder: string): boolean;
  /** Keeps a copy of a data folder of etcd that is not in use. */
  save(folder: string): void;
}

/**
 * The store of a release that holds these definitions and nothing else, kept in the cache: an API server takes some ten
 * seconds to serve a set of large definitions that it has not seen, and none for those that are stored as served.
 */
export function savedState(release: Release, definitions: readonly KubeObject[]): SavedState {
  const content = JSON.stringify([VERSIONS.etcd, VERSIONS.kubernetes[release], definitions]);
  const key = createHash("sha256").update(content).digest("hex").slice(0, 16);
  const states = join(cacheRoot(), "states");
  const path = join(states, key);
  return {
    exists: () => existsSync(path),
    restore: (folder) => {
      if (!existsSync(path)) return false;
      cpSync(path, folder, { recursive: true });
      return true;
    },
    save: (folder) => {
      mkdirSync(states, { recursive: true });
      const copy = mkdtempSync(join(states, ".saving-"));
      cpSync(folder, copy, { recursive: true });
      if (existsSync(path)) rmSync(copy, { recursive: true });
      else renameSync(copy, path);
    },
  };
}
