import type { KubeClient } from "../kube/client.ts";
import { KINDS, findResource, resourceOf } from "../kube/resources.ts";
import { type KubeObject, isAlreadyExists } from "../kube/types.ts";
import { parseYaml } from "../kube/yaml.ts";
import { listShared, readShared } from "./corpus.ts";

/** Field manager of KServe's controller. */
const KSERVE = { fieldManager: "manager" };

interface Recording {
  readonly stored?: readonly KubeObject[];
  readonly children?: readonly KubeObject[];
}

/** An object as it stands in the recording, in that namespace: names that lead with `NS` are those of cluster-scoped ones. */
function inNamespace(object: KubeObject, namespace: string): KubeObject {
  return JSON.parse(JSON.stringify(object).replaceAll(/\bNS\b/g, namespace)) as KubeObject;
}

async function create(client: KubeClient, object: KubeObject): Promise<KubeObject | undefined> {
  const { resourceVersion: _version, uid: _uid, managedFields: _fields, ...metadata } = object.metadata;
  try {
    return await client.create({ ...object, metadata }, KSERVE);
  } catch (error) {
    if (isAlreadyExists(error)) return undefined;
    throw error;
  }
}

/** Creates KServe's presets in its namespace. */
export async function createPresets(client: KubeClient): Promise<void> {
  for (const path of listShared("corpus/manifests/kserve/presets/main", ".yaml")) {
    const preset = parseYaml(readShared(path)) as unknown as KubeObject;
    if (preset.kind !== KINDS.LLMInferenceServiceConfig.kind) continue;
    const name = preset.metadata.name.replace(/^(kserve-)?/, "kserve-");
    await create(client, { ...preset, metadata: { ...preset.metadata, name, namespace: "kserve" } });
  }
}

/** Recordings hold the keys of Secrets, not what is in them. */
export function elided(data: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.keys((data ?? {}) as object).map((key) => [key, ""]));
}

/** The state that KServe left of a recorded manifest: services with their status, and children that they own. */
export async function restoreRecording(client: KubeClient, path: string, namespace: string): Promise<void> {
  const { stored = [], children = [] } = parseYaml(readShared(path)) as unknown as Recording;
  const uids = new Map<string, string>();
  for (const object of stored.map((each) => inNamespace(each, namespace))) {
    const made = await create(client, object);
    if (made === undefined) continue;
    uids.set(made.metadata.name, made.metadata.uid ?? "");
    if (object["status"] === undefined) continue;
    await client.updateStatus({ ...made, status: object["status"] }, KSERVE);
  }
  for (const object of children.map((each) => inNamespace(each, namespace))) {
    if (findResource(object) === undefined || object.kind === KINDS.Event.kind) continue;
    const ownerReferences = (object.metadata.ownerReferences ?? []).map((owner) => ({
      ...owner,
      uid: uids.get(owner.name) ?? owner.uid,
    }));
    const scope = resourceOf(object).namespaced ? { namespace } : {};
    const own = { ...object, metadata: { ...object.metadata, ...scope, ownerReferences } };
    await create(client, object.kind === KINDS.Secret.kind ? { ...own, data: elided(object["data"]) } : own);
  }
}
