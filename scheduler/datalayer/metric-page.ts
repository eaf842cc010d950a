/**
 * Reads single values out of a Prometheus text page (exposition format 0.0.4, OpenMetrics alike) without parsing the rest: a page
 * has thousands of lines, of which a handful count. A line that cannot be read is passed over.
 */

/** One series of a metric. */
export interface Series {
  readonly value: number;
  /** Time of the sample as the page states it; 0 when it does not. */
  readonly timestamp: number;
  /** Value of a label; undefined when absent. */
  label(name: string): string | undefined;
}

const NEWLINE = 10;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"/g;
const NUMBER = /^[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf|nan)$/i;

function numberOf(text: string): number | undefined {
  if (!NUMBER.test(text)) return undefined;
  const word = text.toLowerCase().replace(/^\+/, "");
  return word === "inf" ? Infinity : word === "-inf" ? -Infinity : Number(text);
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

/** End of the label block that opens at `from`; braces within quotes do not count. */
function closingBrace(line: string, from: number): number {
  let quoted = false;
  for (let at = from; at < line.length; at++) {
    const character = line[at];
    if (character === "\\" && quoted) at++;
    else if (character === '"') quoted = !quoted;
    else if (character === "}" && !quoted) return at;
  }
  return -1;
}

function readSeries(rest: string): Series | undefined {
  const trimmed = rest.trimStart();
  const end = trimmed.startsWith("{") ? closingBrace(trimmed, 1) : -1;
  if (trimmed.startsWith("{") && end === -1) return undefined;
  const [text = "", time] = trimmed
    .slice(end + 1)
    .trim()
    .split(/\s+/);
  const value = numberOf(text);
  if (value === undefined || Number.isNaN(value)) return undefined;
  const labels = trimmed.slice(1, Math.max(1, end));
  return {
    value,
    timestamp: time === undefined || time === "#" ? 0 : (numberOf(time) ?? 0),
    label: (name) => {
      for (const match of labels.matchAll(LABEL)) if (match[1] === name) return unescaped(match[2] ?? "");
      return undefined;
    },
  };
}

const FOLLOWS_NAME = new Set([32, 9, 123]);

/** What is searched for: a name with the line break before it, and where it was found last. */
interface Needle {
  readonly bytes: Buffer;
  lastAt: number;
}

/** Those of the configuration. Pages of one engine are alike, so that a name is found again near its last place. */
const needles = new Map<string, Needle>();
const NEAR_BYTES = 1024;

function needleOf(name: string): Needle {
  let needle = needles.get(name);
  if (needle === undefined) needles.set(name, (needle = { bytes: Buffer.from(`\n${name}`), lastAt: 0 }));
  return needle;
}

/** Whether the line at `at` is a series of the name whose needle is given. */
function isSeries(page: Buffer, at: number, needle: Buffer): boolean {
  const after = at + needle.length - 1;
  return FOLLOWS_NAME.has(page[after] ?? 0) && page.compare(needle, 1, needle.length, at, after) === 0;
}

/** Where a name's next line after `from` starts; -1 where there is none. */
function lineAfter(page: Buffer, needle: Buffer, from: number): number {
  for (let at = page.indexOf(needle, from); at !== -1; at = page.indexOf(needle, at + needle.length))
    if (FOLLOWS_NAME.has(page[at + needle.length] ?? 0)) return at + 1;
  return -1;
}

/** Where the first line of a name starts; -1 where there is none. */
function firstLine(page: Buffer, needle: Needle): number {
  const { bytes, lastAt } = needle;
  if (isSeries(page, 0, bytes)) return 0;
  let at = lineAfter(page, bytes, Math.max(0, lastAt - NEAR_BYTES));
  if (at === -1 && lastAt > NEAR_BYTES) at = lineAfter(page, bytes, 0);
  // Lines of the name that precede the place where the search began.
  while (at > 1) {
    const before = page.lastIndexOf(NEWLINE, at - 2) + 1;
    if (!isSeries(page, before, bytes)) break;
    at = before;
  }
  if (at !== -1) needle.lastAt = at;
  return at;
}

/** All readable series of one metric name. NaN is no value. The format demands that a metric's lines follow one another. */
export function seriesOf(page: Buffer, name: string): Series[] {
  const found: Series[] = [];
  const needle = needleOf(name);
  const { bytes } = needle;
  let at = firstLine(page, needle);
  while (at !== -1) {
    const newline = page.indexOf(NEWLINE, at);
    const end = newline === -1 ? page.length : newline;
    const series = readSeries(page.toString("utf8", at + bytes.length - 1, end));
    if (series !== undefined) found.push(series);
    at = isSeries(page, end + 1, bytes) ? end + 1 : -1;
  }
  return found;
}
