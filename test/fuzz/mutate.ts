/** A source of numbers in [0, 1). */
export type Chance = () => number;

/** A whole number from 0 to `limit` − 1. */
export const below = (chance: Chance, limit: number): number => Math.floor(chance() * limit);

/** One of the items. */
export const oneOf = <T>(chance: Chance, items: readonly T[]): T => items[below(chance, items.length)]!;

/** Bytes and texts that break readers: bounds of numbers, quotes, escapes, halves of characters, wire tags. */
const SPITEFUL: readonly Buffer[] = [
  "",
  "\u0000",
  '"',
  "\\",
  "\\u",
  "\\ud800",
  "{",
  "}",
  "[[[[[[[[",
  "]",
  ",",
  ":",
  "null",
  "-1",
  "1e999",
  "18446744073709551616",
  '{"usage":{',
  '"model":',
  "data: ",
  "\n\n",
  "NaN",
  "+Inf",
  "x".repeat(300),
]
  .map((text) => Buffer.from(text))
  .concat(
    [[0xff], [0x80], [0xc3], [0xf0, 0x9f], [0xff, 0xff, 0xff, 0xff, 0x0f], [0x0a, 0xff, 0x7f], [0, 0, 0, 0, 0]].map(
      (bytes) => Buffer.from(bytes),
    ),
  );

/** Largest thing that mutation makes: repeated parts would grow for ever. */
const MAX_BYTES = 256 * 1024;

type Mutation = (bytes: Buffer, chance: Chance, others: readonly Buffer[]) => Buffer;

function spliced(bytes: Buffer, from: number, to: number, part: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, from), part, bytes.subarray(to)]);
}

function range(bytes: Buffer, chance: Chance): readonly [number, number] {
  const from = below(chance, bytes.length + 1);
  return [from, Math.min(bytes.length, from + below(chance, 1 + Math.min(64, bytes.length)))];
}

const MUTATIONS: readonly Mutation[] = [
  // A bit, and a byte.
  (bytes, chance) => {
    if (bytes.length > 0) bytes[below(chance, bytes.length)]! ^= 1 << below(chance, 8);
    return bytes;
  },
  (bytes, chance) => {
    if (bytes.length > 0) bytes[below(chance, bytes.length)] = below(chance, 256);
    return bytes;
  },
  // Something spiteful, put in or in place of something.
  (bytes, chance) => {
    const at = below(chance, bytes.length + 1);
    return spliced(bytes, at, at, oneOf(chance, SPITEFUL));
  },
  (bytes, chance) => spliced(bytes, ...range(bytes, chance), oneOf(chance, SPITEFUL)),
  // A part left out, or repeated.
  (bytes, chance) => spliced(bytes, ...range(bytes, chance), Buffer.alloc(0)),
  (bytes, chance) => {
    const [from, to] = range(bytes, chance);
    const times = 1 + below(chance, chance() < 0.02 ? 400 : 3);
    return spliced(bytes, to, to, Buffer.concat(Array.from({ length: times }, () => bytes.subarray(from, to))));
  },
  // The end cut off, or that of another.
  (bytes, chance) => bytes.subarray(0, below(chance, bytes.length + 1)),
  (bytes, chance, others) => {
    const other = oneOf(chance, others);
    return spliced(
      bytes,
      below(chance, bytes.length + 1),
      bytes.length,
      other.subarray(below(chance, other.length + 1)),
    );
  },
];

/** A damaged copy of `bytes`; sometimes it is whole. */
export function mutate(bytes: Buffer, chance: Chance, others: readonly Buffer[]): Buffer {
  let mutated = Buffer.from(bytes) as Buffer;
  for (let count = below(chance, 4); count > 0 && mutated.length < MAX_BYTES; count--)
    mutated = Buffer.from(oneOf(chance, MUTATIONS)(mutated, chance, others.length === 0 ? [bytes] : others));
  return mutated;
}
