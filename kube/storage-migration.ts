import type { KubeClient } from "./client.ts";
import { LIST_PAGE_SIZE } from "./client.ts";
import { KINDS, type Resource } from "./resources.ts";
import { type KubeObject, isConflict, isNotFound } from "./types.ts";

/** What a migration did. */
export interface Migration {
  /** Objects that were written again. */
  readonly rewritten: number;
  /** Versions that the definition's status named before, without the storage version. */
  readonly dropped: readonly string[];
}

interface Definition {
  readonly spec?: { readonly versions?: readonly { readonly name: string; readonly storage?: boolean }[] };
  readonly status?: { readonly storedVersions?: readonly string[] };
}

const NOTHING: Migration = { rewritten: 0, dropped: [] };

/**
 * Writes all objects of a custom kind again where some may be stored in a former version, so that the API server stores them
 * in the present one, and then takes the former versions off the definition's `storedVersions`. Nothing happens where there
 * are none. The writes change nothing; an object that somebody else writes or deletes meanwhile is done. Errors: those of the
 * client.
 */
export async function migrateStorage(
  client: Pick<KubeClient, "get" | "list" | "patch">,
  resource: Resource,
  options: { readonly fieldManager: string; readonly signal?: AbortSignal },
): Promise<Migration> {
  const name = `${resource.plural}.${resource.apiVersion.split("/")[0]}`;
  const definition = await client.get(KINDS.CustomResourceDefinition, { name });
  const { spec, status } = definition as unknown as Definition;
  const storage = spec?.versions?.find((version) => version.storage === true)?.name;
  const dropped = (status?.storedVersions ?? []).filter((version) => version !== storage);
  if (storage === undefined || dropped.length === 0) return NOTHING;
  const rewritten = await rewriteAll(client, resource, options);
  const body = {
    metadata: { resourceVersion: definition.metadata.resourceVersion },
    status: { storedVersions: [storage] },
  };
  await client.patch(
    KINDS.CustomResourceDefinition,
    { name },
    { type: "merge", body },
    { ...options, subresource: "status" },
  );
  return { rewritten, dropped };
}

async function rewriteAll(
  client: Pick<KubeClient, "list" | "patch">,
  resource: Resource,
  options: { readonly fieldManager: string; readonly signal?: AbortSignal },
): Promise<number> {
  let rewritten = 0;
  let continueToken: string | undefined;
  do {
    const page = await client.list(resource, { limit: LIST_PAGE_SIZE, continueToken, metadataOnly: true });
    for (const { metadata } of page.items) {
      options.signal?.throwIfAborted();
      if (await rewrite(client, resource, metadata, options)) rewritten++;
    }
    ({ continueToken } = page);
  } while (continueToken !== undefined);
  return rewritten;
}

/** A patch that changes nothing makes the API server store the object anew, in the storage version. */
async function rewrite(
  client: Pick<KubeClient, "patch">,
  resource: Resource,
  { namespace, name, resourceVersion }: KubeObject["metadata"],
  { fieldManager }: { readonly fieldManager: string },
): Promise<boolean> {
  try {
    await client.patch(
      resource,
      { namespace, name },
      { type: "merge", body: { metadata: { resourceVersion } } },
      { fieldManager },
    );
    return true;
  } catch (error) {
    if (isConflict(error) || isNotFound(error)) return false;
    throw error;
  }
}
