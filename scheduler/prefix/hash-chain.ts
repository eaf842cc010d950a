import { xxh64, xxh64Chain } from "./xxh64.ts";

const BYTES_PER_TOKEN = 4;

/** Where a prompt's chain starts: a prefix is shared only within one model and cache salt. */
export function chainSeed(model: string, salt: string): bigint {
  return xxh64(Buffer.from(model + salt));
}

/**
 * Hash of each block of a prompt with all that precedes it, at most `maxBlocks` of them: pairs of 32-bit halves, low first, valid
 * until the next call. `prompt` holds little-endian 32-bit tokens; the shorter last block counts too.
 */
export function hashChain(prompt: Uint8Array, seed: bigint, blockSizeTokens: number, maxBlocks: number): Uint32Array {
  const blockBytes = blockSizeTokens * BYTES_PER_TOKEN;
  const bytes = maxBlocks * blockBytes < prompt.length ? prompt.subarray(0, maxBlocks * blockBytes) : prompt;
  return xxh64Chain(bytes, blockBytes, seed);
}

/**
 * Keys of a prompt's blocks: the upper 53 bits of their hashes as numbers, which cost a map no allocation; collisions are still
 * out of reach.
 */
export function blockKeys(prompt: Uint8Array, seed: bigint, blockSizeTokens: number, maxBlocks: number): number[] {
  const halves = hashChain(prompt, seed, blockSizeTokens, maxBlocks);
  const keys: number[] = [];
  for (let at = 0; at < halves.length; at += 2) keys.push(halves[at + 1]! * 0x200000 + (halves[at]! >>> 11));
  return keys;
}
