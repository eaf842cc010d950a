import type { KubeClient } from "../../kube/client.ts";
import { listAll } from "../../kube/client.ts";
import { KINDS, type Resource, gvkText } from "../../kube/resources.ts";
import { type KubeObject, type ObjectKey, KubeError, keyOf } from "../../kube/types.ts";
import { NotYetKnown } from "../cluster/references.ts";
import type { StringMap } from "../labels.ts";
import { matchesLabels } from "../labels.ts";
import type { ClusterView } from "../llminferenceservice/pass.ts";
import { ObjectView } from "./object-view.ts";

/** Uid of a service that does not exist yet. */
export const UNBORN = "";

/** What stands in for an object that a manifest refers to and nobody gave. It counts as the service's own: it is in nobody's way. */
function assumed(resource: Resource, key: ObjectKey): KubeObject | undefined {
  const { apiVersion, kind } = resource;
  const { apiVersion: ownerVersion, kind: ownerKind } = KINDS.LLMInferenceService;
  const owner = { apiVersion: ownerVersion, kind: ownerKind, name: "", uid: UNBORN, controller: true };
  const object: KubeObject = { apiVersion, kind, metadata: { ...key, ownerReferences: [owner] } };
  if (resource === KINDS.ServiceAccount || resource === KINDS.GatewayClass) return object;
  if (resource !== KINDS.Gateway) return undefined;
  return {
    ...object,
    spec: { gatewayClassName: "assumed", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
  };
}

/** A view for work without a cluster: all kinds are served, and Gateways and ServiceAccounts that are named exist. */
export class OfflineView extends ObjectView {
  override find(resource: Resource, key: ObjectKey): KubeObject | undefined {
    return super.find(resource, key) ?? assumed(resource, key);
  }
}

/** A live service after its manifest has been applied again: its identity and its status stay. */
function asIfApplied(live: KubeObject, given: KubeObject): KubeObject {
  const { uid, generation } = live.metadata;
  return { ...given, metadata: { ...given.metadata, uid, generation }, status: live["status"] };
}

/** Whether an answer means that there is nothing to see: the kind is not served, or not ours to read. */
const isAbsent = (error: unknown): boolean => error instanceof KubeError && (error.code === 404 || error.code === 403);

/**
 * A view of a live cluster in which given objects take the place of those of their name. What is looked up is fetched once;
 * until it is there a look-up throws `NotYetKnown`, as that of the operator's own mirror does.
 */
export class LiveView implements ClusterView {
  readonly #client: Pick<KubeClient, "find" | "list" | "serves">;
  readonly #given: ObjectView;
  readonly #known = new Map<string, unknown>();
  readonly #fetching = new Map<string, Promise<void>>();

  constructor(client: Pick<KubeClient, "find" | "list" | "serves">, given: ObjectView) {
    this.#client = client;
    this.#given = given;
  }

  #once<T>(what: string, fetch: () => Promise<T>, absent: T): T {
    if (this.#known.has(what)) return this.#known.get(what) as T;
    const running =
      this.#fetching.get(what) ??
      fetch()
        .catch((error: unknown) => {
          if (isAbsent(error)) return absent;
          throw error;
        })
        .then((value) => {
          this.#known.set(what, value);
        });
    this.#fetching.set(what, running);
    throw new NotYetKnown(what, running);
  }

  find(resource: Resource, key: ObjectKey): KubeObject | undefined {
    const given = this.#given.find(resource, key);
    if (given !== undefined && resource !== KINDS.LLMInferenceService) return given;
    const what = `${gvkText(resource)} ${keyOf(key)}`;
    const live = this.#once<KubeObject | undefined>(what, () => this.#client.find(resource, key), undefined);
    return given === undefined || live === undefined ? (given ?? live) : asIfApplied(live, given);
  }

  list(resource: Resource, namespace: string | undefined, labels: StringMap = {}): readonly KubeObject[] {
    const what = `${gvkText(resource)} in ${namespace ?? "all"}`;
    const live = this.#once<readonly KubeObject[]>(
      what,
      async () => (await listAll(this.#client, resource, { namespace })).items,
      [],
    );
    const given = this.#given.list(resource, namespace);
    const names = new Set(given.map(({ metadata }) => keyOf(metadata)));
    const rest = live.filter(({ metadata }) => !names.has(keyOf(metadata)));
    return [...given, ...rest].filter(({ metadata }) => matchesLabels(metadata.labels, labels));
  }

  serves(resource: Resource): boolean {
    return this.#once(`${gvkText(resource)} served`, () => this.#client.serves(resource), false);
  }
}
