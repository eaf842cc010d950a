import { type Fields, numberAt, recordAt, recordsAt, textAt, textsAt } from "../fields.ts";

/** What routes look at in a request. */
export interface RouteRequest {
  /** Host without port, lower-case. */
  readonly host: string;
  readonly method: string;
  /** Path without its query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** One rule of a route on a listener. */
export interface RouteEntry {
  /** Hostnames it answers to; empty for any. */
  readonly hostnames: readonly string[];
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339; older routes win ties. */
  readonly created: string;
  /** Position of the rule within the route. */
  readonly index: number;
  readonly rule: Fields;
}

/** The rule that answers a request. */
export interface RouteHit {
  readonly entry: RouteEntry;
  /** The prefix that matched, for `ReplacePrefixMatch`; "/" for other matches. */
  readonly prefix: string;
}

/** Priority of a match; the first difference decides, larger wins. */
type Rank = readonly number[];

/**
 * The rule for a request by the precedence of Gateway API: most specific hostname, exact path, longest prefix, method, number
 * of headers, number of query parameters, oldest route, name, position.
 */
export function matchRoute(entries: readonly RouteEntry[], request: RouteRequest): RouteHit | undefined {
  let best: { hit: RouteHit; rank: Rank } | undefined;
  for (const entry of entries) {
    const host = hostRank(entry.hostnames, request.host);
    if (host === undefined) continue;
    for (const match of matchesOf(entry.rule)) {
      const rank = matchRank(match, request);
      if (rank === undefined) continue;
      const candidate = { hit: { entry, prefix: prefixOf(match) }, rank: [...host, ...rank] };
      if (best === undefined || wins(candidate, best)) best = candidate;
    }
  }
  return best?.hit;
}

function matchesOf(rule: Fields): readonly Fields[] {
  const matches = recordsAt(rule, "matches");
  return matches.length > 0 ? matches : [{}];
}

function wins(left: { hit: RouteHit; rank: Rank }, right: { hit: RouteHit; rank: Rank }): boolean {
  for (const [index, value] of left.rank.entries()) {
    const difference = value - right.rank[index]!;
    if (difference !== 0) return difference > 0;
  }
  const key = ({ entry }: RouteHit) => [entry.created, `${entry.namespace}/${entry.name}`] as const;
  const [leftTime, leftName] = key(left.hit);
  const [rightTime, rightName] = key(right.hit);
  if (leftTime !== rightTime) return leftTime < rightTime;
  if (leftName !== rightName) return leftName < rightName;
  return left.hit.entry.index < right.hit.entry.index;
}

/** Exact names before wildcards, longer before shorter; undefined where none fits. */
function hostRank(hostnames: readonly string[], host: string): Rank | undefined {
  if (hostnames.length === 0) return [0, 0];
  const ranks = hostnames
    .filter((name) => hostMatches(name, host))
    .map((name) => [name.startsWith("*") ? 1 : 2, name.length]);
  return ranks.sort((a, b) => b[0]! - a[0]! || b[1]! - a[1]!)[0];
}

/** Whether a hostname or a wildcard `*.suffix` covers a host. */
export function hostMatches(pattern: string, host: string): boolean {
  const lower = pattern.toLowerCase();
  return lower.startsWith("*.") ? host.endsWith(lower.slice(1)) && host.length > lower.length - 1 : lower === host;
}

function matchRank(match: Fields, request: RouteRequest): Rank | undefined {
  const path = pathRank(match, request.path);
  const method = textAt(match, "method");
  const headers = recordsAt(match, "headers");
  const params = recordsAt(match, "queryParams");
  if (path === undefined || (method !== undefined && method !== request.method)) return undefined;
  if (!headers.every((wanted) => valueMatches(wanted, headerValue(request, wanted)))) return undefined;
  if (!params.every((wanted) => valueMatches(wanted, request.query.get(textAt(wanted, "name") ?? "") ?? undefined)))
    return undefined;
  return [...path, method === undefined ? 0 : 1, headers.length, params.length];
}

function headerValue(request: RouteRequest, wanted: Fields): string | undefined {
  const value = request.headers[(textAt(wanted, "name") ?? "").toLowerCase()];
  return typeof value === "string" ? value : value?.join(",");
}

function valueMatches(wanted: Fields, value: string | undefined): boolean {
  const pattern = textAt(wanted, "value") ?? "";
  if (value === undefined) return false;
  return textAt(wanted, "type") === "RegularExpression" ? fullMatch(pattern, value) : value === pattern;
}

/** Regular expressions match whole values; one that does not compile matches nothing. */
function fullMatch(pattern: string, value: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`).test(value);
  } catch {
    return false;
  }
}

function pathRank(match: Fields, path: string): Rank | undefined {
  const value = textAt(match, "path", "value") ?? "/";
  switch (textAt(match, "path", "type") ?? "PathPrefix") {
    case "Exact":
      return path === value ? [2, value.length] : undefined;
    case "RegularExpression":
      return fullMatch(value, path) ? [1, 0] : undefined;
    default:
      return hasPrefix(path, value) ? [0, trimEnd(value).length] : undefined;
  }
}

/** Prefixes match whole path elements: `/a` covers `/a` and `/a/b`, not `/ab`. */
function hasPrefix(path: string, prefix: string): boolean {
  const trimmed = trimEnd(prefix);
  return path === trimmed || path.startsWith(`${trimmed}/`);
}

const trimEnd = (path: string): string => (path.endsWith("/") ? path.slice(0, -1) : path);

function prefixOf(match: Fields): string {
  const type = textAt(match, "path", "type") ?? "PathPrefix";
  return type === "PathPrefix" ? (textAt(match, "path", "value") ?? "/") : "/";
}

/** What the filters of a rule make of a request. */
export interface FilterResult {
  readonly path: string;
  readonly host: string | undefined;
  readonly requestHeaders: readonly Fields[];
  readonly responseHeaders: readonly Fields[];
  readonly redirect: Fields | undefined;
}

/** Applies `URLRewrite`, and collects header modifiers and a redirect. */
export function applyFilters(hit: RouteHit, path: string): FilterResult {
  const filters = recordsAt(hit.entry.rule, "filters");
  const of = (type: string, name: string) =>
    filters
      .filter((filter) => textAt(filter, "type") === type)
      .flatMap((filter): Fields[] => [recordAt(filter, name) ?? {}]);
  const [rewrite] = of("URLRewrite", "urlRewrite");
  return {
    path: rewritePath(path, hit.prefix, recordAt(rewrite, "path")),
    host: textAt(rewrite, "hostname"),
    requestHeaders: of("RequestHeaderModifier", "requestHeaderModifier"),
    responseHeaders: of("ResponseHeaderModifier", "responseHeaderModifier"),
    redirect: of("RequestRedirect", "requestRedirect")[0],
  };
}

/** The path after a `ReplaceFullPath` or `ReplacePrefixMatch` modifier. */
export function rewritePath(path: string, prefix: string, modifier: Fields | undefined): string {
  const full = textAt(modifier, "replaceFullPath");
  if (full !== undefined) return full;
  const replacement = textAt(modifier, "replacePrefixMatch");
  if (replacement === undefined) return path;
  const rest = path.slice(trimEnd(prefix).length).replace(/^\//, "");
  if (rest === "") return replacement === "" ? "/" : replacement;
  return `${trimEnd(replacement)}/${rest}`;
}

/** The URL of a `RequestRedirect` and its status. */
export function redirectOf(
  redirect: Fields,
  hit: RouteHit,
  request: { readonly scheme: string; readonly authority: string; readonly path: string; readonly search: string },
): { readonly status: number; readonly location: string } {
  const scheme = textAt(redirect, "scheme") ?? request.scheme;
  const host = textAt(redirect, "hostname");
  const port = numberAt(redirect, "port");
  const authority = host === undefined ? request.authority : host;
  const path = rewritePath(request.path, hit.prefix, recordAt(redirect, "path"));
  const suffix = port === undefined ? "" : `:${port}`;
  const bare = port === undefined ? authority : authority.replace(/:\d+$/, "");
  return {
    status: numberAt(redirect, "statusCode") ?? 302,
    location: `${scheme}://${bare}${suffix}${path}${request.search}`,
  };
}

/** Changes headers by a Gateway API header modifier: `set`, `add`, `remove`. */
export function modifyHeaders<T>(headers: Record<string, T | string>, modifiers: readonly Fields[]): void {
  for (const modifier of modifiers) {
    for (const name of textsAt(modifier, "remove")) delete headers[name.toLowerCase()];
    for (const header of recordsAt(modifier, "set")) headers[nameOf(header)] = textAt(header, "value") ?? "";
    for (const header of recordsAt(modifier, "add")) {
      const before = headers[nameOf(header)];
      const value = textAt(header, "value") ?? "";
      headers[nameOf(header)] = before === undefined ? value : `${String(before)},${value}`;
    }
  }
}

const nameOf = (header: Fields): string => (textAt(header, "name") ?? "").toLowerCase();

/** Milliseconds of a Gateway API duration such as `1m30s`; undefined for `0s`, which disables a limit, or no duration. */
export function durationMs(text: string | undefined): number | undefined {
  if (text === undefined || !/^(\d+(h|m|s|ms))+$/.test(text)) return undefined;
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|h|m|s)/g)) total += Number(count) * units[unit!]!;
  return total === 0 ? undefined : total;
}
