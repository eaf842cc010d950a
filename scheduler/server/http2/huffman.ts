/** Huffman code of HPACK strings (RFC 7541 appendix B). */

/** Bits of each symbol's code, 0 to 255 and the end of string. The code is canonical: lengths determine it. */
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];
const END_OF_STRING = 256;
const SYMBOLS = LENGTHS.length;

/**
 * The code as a binary tree: `TREE[2 × node + bit]` is the next node, or −1 − symbol where a code ends. A full binary tree
 * with 257 leaves has 256 inner nodes.
 */
const TREE = new Int16Array(2 * (SYMBOLS - 1));
buildTree();

function buildTree(): void {
  let nodes = 1;
  let code = 0;
  let length = 0;
  const order = Array.from(LENGTHS.keys()).sort((a, b) => LENGTHS[a]! - LENGTHS[b]! || a - b);
  for (const symbol of order) {
    code *= 2 ** (LENGTHS[symbol]! - length);
    length = LENGTHS[symbol]!;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const edge = 2 * node + ((code >>> bit) & 1);
      if (TREE[edge] === 0) TREE[edge] = nodes++;
      node = TREE[edge]!;
    }
    TREE[2 * node + (code & 1)] = -1 - symbol;
    code++;
  }
}

/**
 * Decodes `bytes[start, end)` into `out` from its beginning and returns the length; −1 for a code that no encoder makes: the end
 * of string within it, or padding that is longer than seven bits or has a zero. `out` needs 8/5 of the input's length.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let length = 0;
  let node = 0;
  let open = 0;
  let ones = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    for (let shift = 7; shift >= 0; shift--) {
      const bit = (byte >>> shift) & 1;
      node = TREE[2 * node + bit]!;
      open++;
      ones &&= bit === 1;
      if (node >= 0) continue;
      if (node === -1 - END_OF_STRING) return -1;
      out[length++] = -1 - node;
      node = 0;
      open = 0;
      ones = true;
    }
  }
  return open < 8 && ones ? length : -1;
}
