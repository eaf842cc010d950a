/** Names and values in turn, as they came (`rawHeaders` of Node.js): repeated and oddly written ones stay as they are. */
export type RawHeaders = readonly string[];

/** Headers that end at a proxy (RFC 9110 §7.6.1), beside those that `Connection` names. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(
  "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te transfer-encoding upgrade".split(
    " ",
  ),
);

/** Values of a header, in order. `name` in lower case. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index]!.length === name.length && headers[index]!.toLowerCase() === name)
      values.push(headers[index + 1]!);
  return values;
}

/** Headers without those of these names, which are in lower case. */
export function without(headers: RawHeaders, isDropped: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2)
    if (!isDropped(headers[index]!.toLowerCase())) kept.push(headers[index]!, headers[index + 1]!);
  return kept;
}

/** The headers that go on to the next server. */
export function endToEnd(headers: RawHeaders): string[] {
  const named = headerValues(headers, "connection")
    .flatMap((value) => value.toLowerCase().split(","))
    .map((name) => name.trim());
  return without(headers, (name) => HOP_BY_HOP.has(name) || (named.length > 0 && named.includes(name)));
}

/** The headers with these values in place of all former ones; undefined takes a header out. Names in lower case. */
export function withHeaders(headers: RawHeaders, values: Readonly<Record<string, string | undefined>>): string[] {
  const set = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  return [...without(headers, (name) => Object.hasOwn(values, name)), ...set];
}
