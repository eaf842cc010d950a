/** A JSON object of unknown shape, as the API serves it. */
export type Fields = Readonly<Record<string, unknown>>;

/** The value at a path of keys and list indexes, or undefined where the path leaves the tree. */
export function field(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Reflect.get(current, key);
  }
  return current;
}

/** The string at a path, or undefined where there is no string. */
export function textAt(value: unknown, ...path: readonly (string | number)[]): string | undefined {
  const found = field(value, ...path);
  return typeof found === "string" ? found : undefined;
}

/** The number at a path, or undefined where there is no number. */
export function numberAt(value: unknown, ...path: readonly (string | number)[]): number | undefined {
  const found = field(value, ...path);
  return typeof found === "number" ? found : undefined;
}

/** The object at a path, or undefined where there is none. */
export function recordAt(value: unknown, ...path: readonly (string | number)[]): Fields | undefined {
  const found = field(value, ...path);
  return isRecord(found) ? found : undefined;
}

/** The objects of the list at a path; empty where there is no list. */
export function recordsAt(value: unknown, ...path: readonly (string | number)[]): readonly Fields[] {
  const found = field(value, ...path);
  return Array.isArray(found) ? found.filter(isRecord) : [];
}

/** The strings of the list at a path; empty where there is no list. */
export function textsAt(value: unknown, ...path: readonly (string | number)[]): readonly string[] {
  const found = field(value, ...path);
  return Array.isArray(found) ? found.filter((item) => typeof item === "string") : [];
}

/** The string values of the object at a path; empty where there is no object. */
export function textMapAt(value: unknown, ...path: readonly (string | number)[]): Readonly<Record<string, string>> {
  const entries = Object.entries(recordAt(value, ...path) ?? {});
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** JSON with sorted keys and without undefined members: equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isRecord(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

/** Whether two JSON values are equal, whatever the order of their keys. */
export function sameJson(left: unknown, right: unknown): boolean {
  return canonicalJson(left ?? null) === canonicalJson(right ?? null);
}

/** Letters of generated name suffixes: no vowels, hence no words (as Kubernetes' `rand.SafeEncodeString`). */
const SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789";

/** A ten-letter hash of a text that is valid in names and labels (FNV-1a, 32 bits, in decimal digits as letters). */
export function safeHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return Array.from(hash.toString().padStart(10, "0"), (digit) => SAFE_LETTERS[Number(digit)]).join("");
}

/** `length` random letters for a generated name; `random` gives numbers in [0, 1). */
export function randomSuffix(random: () => number, length = 5): string {
  return Array.from({ length }, () => SAFE_LETTERS[Math.floor(random() * SAFE_LETTERS.length)]).join("");
}
