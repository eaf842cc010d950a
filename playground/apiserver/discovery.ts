import type { JsonObject } from "../../crds/schema/types.ts";
import type { KindRegistry, ServedKind } from "./kinds.ts";
import { REVIEW_KINDS } from "./reviews.ts";

/** Version that `/version` reports: the Kubernetes whose behaviour is served. */
export const VERSION: Readonly<Record<string, string>> = {
  major: "1",
  minor: "32",
  gitVersion: "v1.32.0",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "none",
  compiler: "node",
  platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
};

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/** The part of Kubernetes that serves custom kinds tells them in another order. */
const CUSTOM_VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const SUBRESOURCE_VERBS = ["get", "patch", "update"];

function verbsOf(kind: ServedKind): string[] {
  if (kind.conversion !== undefined) return [...CUSTOM_VERBS];
  return VERBS.filter((verb) => verb !== "deletecollection" || kind.storage !== "/namespaces");
}

interface Subresource {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly responseKind: { readonly group: string; readonly version: string; readonly kind: string };
}

function subresourcesOf(kind: ServedKind): Subresource[] {
  const own = { group: kind.group, version: kind.version, kind: kind.kind };
  const scale = { group: "autoscaling", version: "v1", kind: "Scale" };
  return [
    ...(kind.hasStatus ? [{ name: "status", verbs: SUBRESOURCE_VERBS, responseKind: own }] : []),
    ...(kind.scale === undefined ? [] : [{ name: "scale", verbs: SUBRESOURCE_VERBS, responseKind: scale }]),
    ...(kind.storage === "/pods"
      ? [
          { name: "binding", verbs: ["create"], responseKind: { group: "", version: "v1", kind: "Binding" } },
          { name: "log", verbs: ["get"], responseKind: own },
        ]
      : []),
    ...(kind.storage === "/namespaces" ? [{ name: "finalize", verbs: ["update"], responseKind: own }] : []),
  ];
}

/** Groups in the order of first appearance, each with its versions, newest (stable before beta before alpha) first. */
function groupsOf(kinds: KindRegistry): Map<string, string[]> {
  const groups = new Map<string, Set<string>>();
  const add = (group: string, version: string) => groups.set(group, (groups.get(group) ?? new Set()).add(version));
  for (const kind of kinds.all()) add(kind.group, kind.version);
  for (const review of REVIEW_KINDS) add(review.group, review.version);
  return new Map([...groups].map(([group, versions]) => [group, [...versions].sort(byVersionPriority)]));
}

/** Kubernetes' order of versions: GA before beta before alpha, higher numbers first. */
function byVersionPriority(a: string, b: string): number {
  const parts = (version: string) => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    const stage = match?.[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0;
    return match === null ? [-1, 0, 0] : [stage, Number(match[1]), Number(match[3] ?? 0)];
  };
  const [left, right] = [parts(a), parts(b)];
  for (const [index, value] of left.entries()) if (value !== right[index]) return right[index]! - value;
  return a < b ? -1 : 1;
}

/** `/api`. */
export function coreVersions(): JsonObject {
  return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
}

function groupObject(group: string, versions: readonly string[]): JsonObject {
  const list = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: list, preferredVersion: list[0]! };
}

/** `/apis`. */
export function groupList(kinds: KindRegistry): JsonObject {
  const groups = [...groupsOf(kinds)].filter(([group]) => group !== "");
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: groups.map(([group, versions]) => groupObject(group, versions)),
  };
}

/** `/apis/{group}`; undefined for a group that is not served. */
export function groupOf(kinds: KindRegistry, group: string): JsonObject | undefined {
  const versions = groupsOf(kinds).get(group);
  return versions === undefined || group === ""
    ? undefined
    : { kind: "APIGroup", apiVersion: "v1", ...groupObject(group, versions) };
}

/** `/api/v1` and `/apis/{group}/{version}`; undefined for a version that is not served. */
export function resourceList(kinds: KindRegistry, group: string, version: string): JsonObject | undefined {
  const served = kinds.all().filter((kind) => kind.group === group && kind.version === version);
  const reviews = REVIEW_KINDS.filter((review) => review.group === group && review.version === version);
  if (served.length + reviews.length === 0) return undefined;
  const resources = [...served.flatMap(resourceEntries), ...reviews.map(reviewEntry)];
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: group === "" ? version : `${group}/${version}`,
    resources,
  };
}

function resourceEntries(kind: ServedKind): JsonObject[] {
  const entry: JsonObject = {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: verbsOf(kind),
    ...(kind.shortNames.length === 0 ? {} : { shortNames: [...kind.shortNames] }),
    ...(kind.categories.length === 0 ? {} : { categories: [...kind.categories] }),
  };
  const subresources = subresourcesOf(kind).map(({ name, verbs, responseKind }) => ({
    name: `${kind.plural}/${name}`,
    singularName: "",
    namespaced: kind.namespaced,
    kind: responseKind.kind,
    ...(responseKind.group === kind.group ? {} : { group: responseKind.group, version: responseKind.version }),
    verbs: [...verbs],
  }));
  return [entry, ...subresources];
}

function reviewEntry(review: (typeof REVIEW_KINDS)[number]): JsonObject {
  return {
    name: review.plural,
    singularName: review.plural.slice(0, -1),
    namespaced: review.namespaced,
    kind: review.kind,
    verbs: ["create"],
  };
}

/** Aggregated discovery (apidiscovery.k8s.io/v2) of the core group, or of all others. */
export function aggregated(kinds: KindRegistry, core: boolean): JsonObject {
  const groups = [...groupsOf(kinds)].filter(([group]) => (group === "") === core);
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map(([group, versions]) => ({
      metadata: group === "" ? {} : { name: group },
      versions: versions.map((version) => ({
        version,
        freshness: "Current",
        resources: [
          ...kinds
            .all()
            .filter((kind) => kind.group === group && kind.version === version)
            .map(discoveredKind),
          ...REVIEW_KINDS.filter((review) => review.group === group && review.version === version).map(
            discoveredReview,
          ),
        ],
      })),
    })),
  };
}

function discoveredKind(kind: ServedKind): JsonObject {
  return {
    resource: kind.plural,
    responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: verbsOf(kind),
    ...(kind.shortNames.length === 0 ? {} : { shortNames: [...kind.shortNames] }),
    ...(kind.categories.length === 0 ? {} : { categories: [...kind.categories] }),
    subresources: subresourcesOf(kind).map(({ name, verbs, responseKind }) => ({
      subresource: name,
      responseKind: { ...responseKind },
      verbs: [...verbs],
    })),
  };
}

function discoveredReview(review: (typeof REVIEW_KINDS)[number]): JsonObject {
  return {
    resource: review.plural,
    responseKind: { group: review.group, version: review.version, kind: review.kind },
    scope: review.namespaced ? "Namespaced" : "Cluster",
    singularResource: review.plural.slice(0, -1),
    verbs: ["create"],
  };
}
