import { KINDS, groupOf } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { matchesSelector } from "../controllers/selector.ts";
import { type Fields, numberAt, recordAt, recordsAt, textAt, textsAt } from "../fields.ts";
import { type RouteEntry, hostMatches } from "./route-match.ts";

/** One parentRef of a route and how it fares. */
export interface Attachment {
  readonly parentRef: Fields;
  readonly gateway: KubeObject;
  /** Listeners that take the route, with the hostnames left for it (none: any). */
  readonly listeners: readonly { readonly listener: Fields; readonly hostnames: readonly string[] }[];
  /** Why no listener takes it (reason of the condition Accepted). */
  readonly refusal: string | undefined;
}

/** What a route is attached to. */
export interface Attached {
  readonly route: KubeObject;
  readonly attachments: readonly Attachment[];
}

/** Attaches a route to those of its parents that are among `gateways`, by the rules of Gateway API. */
export function attachRoute(
  route: KubeObject,
  gateways: readonly KubeObject[],
  namespaceLabels: (namespace: string) => Readonly<Record<string, string>>,
): Attached {
  const attachments = recordsAt(route, "spec", "parentRefs").flatMap((parentRef): Attachment[] => {
    const kind = textAt(parentRef, "kind") ?? "Gateway";
    const group = textAt(parentRef, "group") ?? groupOf(KINDS.Gateway.apiVersion);
    const namespace = textAt(parentRef, "namespace") ?? route.metadata.namespace;
    const gateway = gateways.find(
      (one) => one.metadata.name === textAt(parentRef, "name") && one.metadata.namespace === namespace,
    );
    if (gateway === undefined || kind !== "Gateway" || group !== groupOf(KINDS.Gateway.apiVersion)) return [];
    return [{ parentRef, gateway, ...takers(route, parentRef, gateway, namespaceLabels) }];
  });
  return { route, attachments };
}

function takers(
  route: KubeObject,
  parentRef: Fields,
  gateway: KubeObject,
  namespaceLabels: (namespace: string) => Readonly<Record<string, string>>,
): Pick<Attachment, "listeners" | "refusal"> {
  const section = textAt(parentRef, "sectionName");
  const port = numberAt(parentRef, "port");
  const named = recordsAt(gateway, "spec", "listeners").filter(
    (listener) =>
      (section === undefined || listener["name"] === section) && (port === undefined || listener["port"] === port),
  );
  if (named.length === 0) return { listeners: [], refusal: "NoMatchingParent" };
  const allowed = named.filter((listener) => allows(listener, gateway, route, namespaceLabels));
  if (allowed.length === 0) return { listeners: [], refusal: "NotAllowedByListeners" };
  const listeners = allowed.flatMap((listener) => {
    const hostnames = intersect(textAt(listener, "hostname"), textsAt(route, "spec", "hostnames"));
    return hostnames === undefined ? [] : [{ listener, hostnames }];
  });
  return { listeners, refusal: listeners.length === 0 ? "NoMatchingListenerHostname" : undefined };
}

function allows(
  listener: Fields,
  gateway: KubeObject,
  route: KubeObject,
  namespaceLabels: (namespace: string) => Readonly<Record<string, string>>,
): boolean {
  const rules = recordAt(listener, "allowedRoutes");
  const kinds = recordsAt(rules, "kinds");
  if (kinds.length > 0 && !kinds.some((kind) => kind["kind"] === route.kind)) return false;
  const from = textAt(rules, "namespaces", "from") ?? "Same";
  if (from === "All") return true;
  const namespace = route.metadata.namespace ?? "";
  if (from === "Selector")
    return matchesSelector(recordAt(rules, "namespaces", "selector"), namespaceLabels(namespace));
  return from === "Same" && namespace === gateway.metadata.namespace;
}

/** Hostnames of the route that the listener covers, or that cover the listener's; undefined where there is none. */
function intersect(listener: string | undefined, route: readonly string[]): readonly string[] | undefined {
  if (listener === undefined || listener === "") return route;
  if (route.length === 0) return [listener];
  const common = route.flatMap((name) => {
    if (name === listener || hostMatches(listener, name)) return [name];
    return hostMatches(name, listener) ? [listener] : [];
  });
  return common.length === 0 ? undefined : common;
}

/** The rules that each port serves. */
export function routesByPort(attached: readonly Attached[]): ReadonlyMap<number, readonly RouteEntry[]> {
  const entries = new Map<number, RouteEntry[]>();
  for (const { route, attachments } of attached)
    for (const { listener, hostnames } of attachments.flatMap((attachment) => attachment.listeners)) {
      const port = numberAt(listener, "port") ?? 0;
      const rules = recordsAt(route, "spec", "rules").map((rule, index) => entryOf(route, rule, index, hostnames));
      entries.set(port, [...(entries.get(port) ?? []), ...rules]);
    }
  return entries;
}

function entryOf(route: KubeObject, rule: Fields, index: number, hostnames: readonly string[]): RouteEntry {
  const { namespace = "", name, creationTimestamp = "" } = route.metadata;
  return { hostnames, namespace, name, created: creationTimestamp, index, rule };
}
