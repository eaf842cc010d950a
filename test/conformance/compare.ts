import type { Outcome } from "./run.ts";
import type { Json, JsonObject } from "./step.ts";

/** One thing that two servers answer differently. */
export interface Difference {
  /** Label of the step. */
  readonly label: string;
  /** Path in the answer: `code`, `body.metadata.generation`. List positions are left out. */
  readonly path: string;
  readonly real: string;
  readonly embedded: string;
  /** What both said about a refusal, `real / embedded`. */
  readonly said: string;
}

const UID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
/** Fields whose values each server chooses. */
const CHOSEN: ReadonlySet<string> = new Set(["clusterIP", "continue"]);

/**
 * Names for what each server chooses by itself, given in the order of appearance: two answers are alike when they agree on
 * which uids and versions are the same, whatever they are.
 */
export class Normaliser {
  readonly #names = new Map<string, string>();

  #name(kind: string, value: string): string {
    const key = `${kind} ${value}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const order = [...this.#names.keys()].filter((other) => other.startsWith(`${kind} `)).length;
    const name = `<${kind} ${order + 1}>`;
    this.#names.set(key, name);
    return name;
  }

  /** The answer without what differs from server to server. */
  outcome({ step, code, contentType, warnings, body: told }: Outcome): Json {
    const body = this.#value(step.watch === true ? withoutEchoes(told) : told, "");
    const isPage = step.query?.["limit"] !== undefined && JSON.stringify(body).includes("made-<random>");
    // Which objects are on a page follows from the names that servers made up.
    const shown = isPage ? "<page>" : body;
    return { code, contentType, warnings: warnings.map((text) => this.#text(text)), body: shown };
  }

  #text(text: string): string {
    return text
      .replaceAll(UID, (uid) => this.#name("uid", uid))
      .replaceAll(TIME, "<time>")
      .replaceAll(/in object meta: \d+|resourceVersion: \d+|: \d{3,}$/g, "<version>");
  }

  #value(value: Json, key: string): Json {
    if (key === "managedFields" && Array.isArray(value))
      return [...(value as readonly Json[])]
        .map((item) => this.#value(item, ""))
        .sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
    if (key === "causes" && Array.isArray(value))
      return (value as readonly Json[])
        .map((item) => this.#value(item, ""))
        .sort((a, b) => (causeText(a) < causeText(b) ? -1 : 1));
    if (Array.isArray(value)) return inOrder((value as readonly Json[]).map((item) => this.#value(item, key)));
    if (typeof value === "string") return this.#string(value, key);
    if (typeof value !== "object" || value === null) return value;
    const isList = "items" in value;
    const entries = Object.entries(value as Record<string, Json>).map(([name, item]): [string, Json] => {
      if (name === "metadata" && isList) return [name, withoutVersion(item)];
      return [name, this.#value(item, name)];
    });
    return Object.fromEntries(masked(entries));
  }

  #string(text: string, key: string): Json {
    if (key === "resourceVersion" && /^\d+$/.test(text)) return this.#name("version", text);
    if (key === "cells" && /^\d+s$/.test(text)) return "<age>";
    if (key === "cells" && /^made-\w{5}$/.test(text)) return "made-<random>";
    if (CHOSEN.has(key)) return text === "" || text === "None" ? text : "<chosen>";
    if (key === "clusterIPs") return text === "None" ? text : "<chosen>";
    return this.#text(text);
  }
}

/** Objects whose names the servers made up are in the order of what else they are. */
function inOrder(items: readonly Json[]): Json {
  const isMadeUp = (item: Json): boolean => JSON.stringify(item).includes("<random>");
  const text = (item: Json): string => JSON.stringify(sorted(item));
  const rest = items.filter(isMadeUp).sort((a, b) => (text(a) < text(b) ? -1 : 1));
  return items.map((item) => (isMadeUp(item) ? rest.shift()! : item));
}

const causeText = (cause: Json): string => JSON.stringify(cause);

/** Entries of one second are in the order of their managers, whenever a second ends. */
function rank(entry: Json): string {
  const { operation, manager, subresource = "" } = entry as Record<string, string>;
  return `${operation} ${manager} ${subresource}`;
}

/** The version of a list counts writes of others too. */
function withoutVersion(metadata: Json): Json {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) return metadata;
  const { resourceVersion: _version, ...rest } = metadata as Record<string, Json>;
  return "continue" in rest ? { ...rest, continue: "<chosen>" } : rest;
}

/** A name that the server completed keeps only what the client gave. */
function masked(entries: [string, Json][]): [string, Json][] {
  const prefix = entries.find(([name]) => name === "generateName")?.[1];
  if (typeof prefix !== "string") return entries;
  return entries.map(([name, value]) => [
    name,
    name === "name" && typeof value === "string" && value.length === prefix.length + 5 ? `${prefix}<random>` : value,
  ]);
}

/** What is said about a refusal; the state is the same. */
const ABOUT_WORDS = /^body\.(message|details)/;

/**
 * What differs between two runs of a scenario. It ends with the first write that is known to neither server alike: what comes
 * after it follows from it.
 */
export function compareRuns(
  real: readonly Outcome[],
  embedded: readonly Outcome[],
  isKnown: (difference: Difference) => "known" | "diverging" | undefined,
): { readonly compared: number; readonly differences: Difference[] } {
  const [left, right] = [new Normaliser(), new Normaliser()];
  const differences: Difference[] = [];
  for (const [index, outcome] of real.entries()) {
    const before = differences.length;
    const said = `${messageOf(outcome)} / ${messageOf(embedded[index]!)}`;
    diff(left.outcome(outcome), right.outcome(embedded[index]!), "", (path, a, b) => {
      differences.push({ label: outcome.step.label, path, real: text(a), embedded: text(b), said });
    });
    if (outcome.step.method !== "GET" && differences.slice(before).some((difference) => diverges(difference, isKnown)))
      return { compared: index + 1, differences };
  }
  return { compared: real.length, differences };
}

const messageOf = ({ body }: Outcome): string => {
  const isStatus = typeof body === "object" && body !== null && "message" in body;
  return isStatus && typeof body.message === "string" ? body.message : "";
};

/** A watch without the events that tell nothing but a change of ownership, which one of the servers may have written alone. */
export function withoutEchoes(body: Json): Json {
  if (!Array.isArray(body)) return body;
  const last = new Map<string, string>();
  return (body as readonly JsonObject[]).filter((event) => {
    const { name = "", managedFields: _fields, resourceVersion: _version, ...metadata } = metadataOf(event);
    const content = JSON.stringify(sorted({ ...(event["object"] as JsonObject), metadata }));
    const isEcho = event["type"] === "MODIFIED" && last.get(JSON.stringify(name)) === content;
    last.set(JSON.stringify(name), content);
    return !isEcho;
  });
}

const metadataOf = (event: JsonObject): JsonObject => (event["object"] as JsonObject)["metadata"] as JsonObject;

function sorted(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as JsonObject).map(([key, item]): [string, Json] => [key, sorted(item)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What differs between two values, under a label. */
export function differencesOf(label: string, real: Json, embedded: Json): Difference[] {
  const differences: Difference[] = [];
  diff(real, embedded, "", (path, a, b) => {
    differences.push({ label, path, real: text(a), embedded: text(b), said: "" });
  });
  return differences;
}

function diverges(
  difference: Difference,
  isKnown: (difference: Difference) => "known" | "diverging" | undefined,
): boolean {
  const known = isKnown(difference);
  return known === "diverging" || (known === undefined && !ABOUT_WORDS.test(difference.path));
}

const ABSENT = Symbol("absent");
type Found = (path: string, real: Json | typeof ABSENT, embedded: Json | typeof ABSENT) => void;

const text = (value: Json | typeof ABSENT): string => (value === ABSENT ? "absent" : JSON.stringify(value));
const isTree = (value: Json | typeof ABSENT): value is Record<string, Json> | Json[] =>
  typeof value === "object" && value !== null;

const member = (tree: Record<string, Json>, key: string): Json | typeof ABSENT => (key in tree ? tree[key]! : ABSENT);

function diff(real: Json | typeof ABSENT, embedded: Json | typeof ABSENT, path: string, found: Found): void {
  if (real === embedded) return;
  const bothTrees = isTree(real) && isTree(embedded) && Array.isArray(real) === Array.isArray(embedded);
  if (!bothTrees) return found(path, real, embedded);
  if (Array.isArray(real) && Array.isArray(embedded)) {
    if (real.length !== embedded.length) return found(`${path}[]`, real, embedded);
    return real.forEach((item, index) => diff(item, embedded[index]!, `${path}[]`, found));
  }
  const [left, right] = [real as Record<string, Json>, embedded as Record<string, Json>];
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
    diff(member(left, key), member(right, key), path === "" ? key : `${path}.${key}`, found);
}
