const PIECE = /\s*[\p{L}\p{N}_]+|\s*[^\s\p{L}\p{N}_]|\s+/gu;

/** Splits text into words and punctuation marks, each with the blanks before it; joined again they are the text. */
export function splitPieces(text: string): string[] {
  return text.match(PIECE) ?? [];
}

/** Token id of a piece: FNV-1a, 32 bits, over its UTF-16 units. */
export function tokenId(piece: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < piece.length; index++) hash = Math.imul(hash ^ piece.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** Token ids of a text under the built-in tokenizer. */
export function tokenize(text: string): number[] {
  return splitPieces(text).map(tokenId);
}

/**
 * Chained content hashes of the full blocks of `tokens`: each covers its block and all before it, so equal hashes mean
 * equal prefixes. 52-bit integers. `salt` separates caches that must not be shared, such as those of adapters.
 */
export function hashBlocks(tokens: readonly number[], blockSize: number, salt: string): number[] {
  const hashes: number[] = [];
  let low = tokenId(salt);
  let high = Math.imul(low, 0x9e3779b1);
  for (let start = 0; start + blockSize <= tokens.length; start += blockSize) {
    for (let index = start; index < start + blockSize; index++) {
      low = Math.imul(low ^ tokens[index]!, 0x85ebca6b);
      high = Math.imul(high ^ (tokens[index]! + (low >>> 13)), 0xc2b2ae35);
    }
    hashes.push((high >>> 12) * 0x1_0000_0000 + (low >>> 0));
  }
  return hashes;
}
