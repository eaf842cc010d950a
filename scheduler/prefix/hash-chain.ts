import { U64, xxh64 } from "./xxh64.ts";

const BYTES_PER_TOKEN = 4;
const link = Buffer.alloc(16);
const id = new U64();

/** Where a prompt's chain starts: a prefix is shared only within one model and cache salt. */
export function chainSeed(model: string, salt: string): U64 {
  const bytes = Buffer.from(model + salt);
  return xxh64(bytes, 0, bytes.length);
}

/**
 * Calls `visit` with the hash of each block of a prompt, at most `maxBlocks` of them: hᵢ = xxh64(LE64(xxh64(block i)) ‖
 * LE64(hᵢ₋₁)), h₀ the seed. `prompt` holds little-endian 32-bit tokens; the shorter last block counts too. The hash object
 * is reused between calls.
 */
export function hashChain(
  prompt: Uint8Array,
  seed: U64,
  blockSizeTokens: number,
  maxBlocks: number,
  visit: (hash: U64) => void,
): void {
  const blockBytes = blockSizeTokens * BYTES_PER_TOKEN;
  const hash = new U64().copy(seed);
  const blocks = Math.min(Math.ceil(prompt.length / blockBytes), maxBlocks);
  for (let block = 0; block < blocks; block++) {
    const start = block * blockBytes;
    xxh64(prompt, start, Math.min(start + blockBytes, prompt.length), id);
    link.writeInt32LE(id.lo, 0);
    link.writeInt32LE(id.hi, 4);
    link.writeInt32LE(hash.lo, 8);
    link.writeInt32LE(hash.hi, 12);
    visit(xxh64(link, 0, 16, hash));
  }
}

/** Upper 53 bits of a hash as a number: a map key without allocation of a BigInt, collisions still out of reach. */
export function hashKey(hash: U64): number {
  return (hash.hi >>> 0) * 0x200000 + (hash.lo >>> 11);
}
