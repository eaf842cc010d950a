import { type Resource, gvkText } from "../../kube/resources.ts";
import { type KubeObject, type ObjectKey, keyOf } from "../../kube/types.ts";
import { NAME_LABEL, type StringMap } from "../labels.ts";
import type { ClusterView } from "../llminferenceservice/pass.ts";
import { GATEWAY_SERVICE_LABELS, LOOKED_UP_KINDS } from "./watches.ts";

/** Stands for look-ups of which no change is told. */
const OWN = "own";

const objectToken = (resource: Resource, key: ObjectKey): string => `${gvkText(resource)} ${keyOf(key)}`;
const labelToken = (resource: Resource, label: string, value: string): string =>
  `${gvkText(resource)} ${label}=${value}`;

const listToken = (resource: Resource, namespace: string | undefined): string =>
  `${gvkText(resource)} all of ${namespace ?? "the cluster"}`;

/** What is noted of a look-up of `serves`. */
export const servedToken = (resource: Resource): string => `${gvkText(resource)} served`;

/** Everything under which a change of the object may have been looked up. */
export function tokensOf(resource: Resource, object: KubeObject): readonly string[] {
  const labels = object.metadata.labels ?? {};
  return [
    objectToken(resource, object.metadata),
    listToken(resource, object.metadata.namespace),
    listToken(resource, undefined),
    ...GATEWAY_SERVICE_LABELS.flatMap((label) =>
      labels[label] === undefined ? [] : [labelToken(resource, label, labels[label])],
    ),
  ];
}

/** Lists by the labels of a service show its own children, which need no note. */
function selectionToken(resource: Resource, namespace: string | undefined, labels: StringMap): string {
  const label = GATEWAY_SERVICE_LABELS.find((name) => labels[name] !== undefined);
  if (label !== undefined) return labelToken(resource, label, labels[label] ?? "");
  return labels[NAME_LABEL] === undefined ? listToken(resource, namespace) : OWN;
}

/** A view that notes in `tokens` what is looked up beyond the service's own children. */
export function recordingView(view: ClusterView, tokens: Set<string>): ClusterView {
  return {
    find: (resource, key) => {
      if (LOOKED_UP_KINDS.has(resource)) tokens.add(objectToken(resource, key));
      return view.find(resource, key);
    },
    list: (resource, namespace, labels = {}) => {
      if (LOOKED_UP_KINDS.has(resource)) tokens.add(selectionToken(resource, namespace, labels));
      return view.list(resource, namespace, labels);
    },
    serves: (resource) => {
      tokens.add(servedToken(resource));
      return view.serves(resource);
    },
    serving: (namespace, model) => view.serving?.(namespace, model) ?? [],
    podWarnings: (pod) => view.podWarnings?.(pod) ?? [],
  };
}

/** A look-up, and the services that made it. */
interface Entry {
  readonly token: string;
  readonly services: Set<string>;
}

const NONE: readonly Entry[] = [];

/** Which services looked up what in their last pass: a change concerns exactly those. */
export class Dependencies {
  readonly #entries = new Map<string, Entry>();
  readonly #entriesOf = new Map<string, readonly Entry[]>();

  /** Replaces what is noted for the service of that key; nothing forgets it. */
  set(service: string, tokens: ReadonlySet<string>): void {
    const before = this.#entriesOf.get(service) ?? NONE;
    const after = Array.from(tokens, (token) => this.#entry(token));
    for (const { services } of after) services.add(service);
    for (const { token, services } of before) {
      if (tokens.has(token)) continue;
      services.delete(service);
      if (services.size === 0) this.#entries.delete(token);
    }
    if (after.length === 0) this.#entriesOf.delete(service);
    else this.#entriesOf.set(service, after);
  }

  /** Keys of the services that looked up one of the tokens. */
  of(tokens: readonly string[]): ReadonlySet<string> {
    return new Set(tokens.flatMap((token) => [...(this.#entries.get(token)?.services ?? [])]));
  }

  #entry(token: string): Entry {
    const known = this.#entries.get(token);
    if (known !== undefined) return known;
    const entry = { token, services: new Set<string>() };
    this.#entries.set(token, entry);
    return entry;
  }
}
