import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Fields, recordAt, recordsAt, textAt } from "../fields.ts";
import { ContainerConfigError, type DataSource, type PodFacts, podField } from "./environment.ts";
import type { PathMapping } from "./paths.ts";

/** Where the volumes of a pod live on this machine. */
export interface VolumeFolders {
  /** The pod's own folder: everything that ends with the pod. */
  readonly pod: string;
  /** Folder of persistent volume claims, shared by pods. */
  readonly claims: string;
}

/** What volumes are filled from. */
export interface VolumeSources {
  readonly read: DataSource;
  /** A token of the pod's ServiceAccount, by a `serviceAccountToken` projection; absent where the API server issues none. */
  readonly token?: ((projection: Fields) => Promise<string>) | undefined;
}

/**
 * Creates or refreshes the pod's volumes: configMap, secret, projected and downwardAPI as files, emptyDir and other kinds as
 * empty directories, claims as directories that outlive the pod. Returns the host directory by volume name. Throws
 * `ContainerConfigError` where a source is missing and not optional.
 */
export async function writeVolumes(
  facts: PodFacts,
  folders: VolumeFolders,
  sources: VolumeSources,
): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>();
  for (const volume of recordsAt(facts.pod, "spec", "volumes")) {
    const name = textAt(volume, "name") ?? "";
    const claim = textAt(volume, "persistentVolumeClaim", "claimName");
    const folder =
      claim === undefined
        ? join(folders.pod, "volumes", name)
        : join(folders.claims, facts.pod.metadata.namespace ?? "", claim);
    await mkdir(folder, { recursive: true });
    for (const [file, content] of await volumeFiles(volume, name, facts, sources))
      await writeAtomic(folder, file, content);
    paths.set(name, folder);
  }
  return paths;
}

/** What the mounts of a container make of its paths; the termination log is a file of the pod's folder. */
export function mountMappings(
  container: Fields,
  volumes: ReadonlyMap<string, string>,
  terminationLog: string,
): PathMapping[] {
  const mounted = recordsAt(container, "volumeMounts").flatMap((mount): PathMapping[] => {
    const volume = volumes.get(textAt(mount, "name") ?? "");
    const containerPath = textAt(mount, "mountPath");
    if (volume === undefined || containerPath === undefined) return [];
    return [{ containerPath, hostPath: join(volume, textAt(mount, "subPath") ?? "") }];
  });
  const log = textAt(container, "terminationMessagePath") ?? "/dev/termination-log";
  return [...mounted, { containerPath: log, hostPath: terminationLog }];
}

type Files = readonly (readonly [path: string, content: string])[];

async function volumeFiles(volume: Fields, name: string, facts: PodFacts, from: VolumeSources): Promise<Files> {
  const projected = recordAt(volume, "projected");
  if (projected === undefined) return await sourceFiles(volume, name, facts, from);
  const files: (readonly [string, string])[] = [];
  for (const source of recordsAt(projected, "sources")) files.push(...(await sourceFiles(source, name, facts, from)));
  return files;
}

async function sourceFiles(source: Fields, volume: string, facts: PodFacts, from: VolumeSources): Promise<Files> {
  const { read, token } = from;
  const secret = recordAt(source, "secret");
  const configMap = recordAt(source, "configMap");
  if (secret !== undefined)
    return await dataFiles("Secret", textAt(secret, "secretName") ?? textAt(secret, "name"), secret, volume, read);
  if (configMap !== undefined) return await dataFiles("ConfigMap", textAt(configMap, "name"), configMap, volume, read);
  const projection = recordAt(source, "serviceAccountToken");
  if (projection !== undefined)
    return token === undefined ? [] : [[textAt(projection, "path") ?? "token", await token(projection)]];
  return recordsAt(source, "downwardAPI", "items").map((item) => [
    textAt(item, "path") ?? "",
    podField(facts, textAt(item, "fieldRef", "fieldPath") ?? ""),
  ]);
}

async function dataFiles(
  kind: "Secret" | "ConfigMap",
  name: string | undefined,
  source: Fields,
  volume: string,
  read: DataSource,
): Promise<Files> {
  const data = await read(kind, name ?? "");
  if (data === undefined && source["optional"] === true) return [];
  if (data === undefined)
    throw new ContainerConfigError(
      "FailedMount",
      `MountVolume.SetUp failed for volume "${volume}" : ${kind.toLowerCase()} "${name}" not found`,
    );
  const items = recordsAt(source, "items");
  if (items.length === 0) return Object.entries(data);
  return items.flatMap((item): Files => {
    const value = data[textAt(item, "key") ?? ""];
    return value === undefined ? [] : [[textAt(item, "path") ?? "", value]];
  });
}

/** Readers see the old content or the new one, never a part; an unchanged file keeps its time. */
async function writeAtomic(folder: string, file: string, content: string): Promise<void> {
  const path = join(folder, file);
  if (!path.startsWith(folder)) return;
  const bytes = Buffer.from(content, "latin1");
  const live = await readFile(path).catch(() => undefined);
  if (live?.equals(bytes) === true) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, bytes, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The data of a Secret or ConfigMap as byte strings (latin1), by key. */
export function dataOf(object: Fields): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  const encoded = object["kind"] === "Secret" ? "data" : "binaryData";
  const plain = object["kind"] === "Secret" ? "stringData" : "data";
  for (const [key, value] of Object.entries(recordAt(object, encoded) ?? {}))
    entries.push([key, Buffer.from(String(value), "base64").toString("latin1")]);
  for (const [key, value] of Object.entries(recordAt(object, plain) ?? {}))
    entries.push([key, Buffer.from(String(value)).toString("latin1")]);
  return Object.fromEntries(entries);
}
