/** XXH64 (Yann Collet's specification, `xxhash_spec.md`), seed 0, on 32-bit halves: BigInt would cost fifty times as much. */

/** A mutable unsigned 64-bit integer, so that hashing allocates nothing. Halves are kept as signed 32-bit integers. */
export class U64 {
  hi = 0;
  lo = 0;

  set(hi: number, lo: number): this {
    this.hi = hi | 0;
    this.lo = lo | 0;
    return this;
  }

  copy(from: U64): this {
    return this.set(from.hi, from.lo);
  }

  add(hi: number, lo: number): this {
    const sum = (this.lo >>> 0) + (lo >>> 0);
    this.lo = sum | 0;
    this.hi = (this.hi + hi + (sum > 0xffffffff ? 1 : 0)) | 0;
    return this;
  }

  xor(hi: number, lo: number): this {
    this.hi ^= hi;
    this.lo ^= lo;
    return this;
  }

  /** Product modulo 2^64; the high word of lo×lo from 16-bit digits. */
  multiply(hi: number, lo: number): this {
    const a0 = this.lo & 0xffff;
    const a1 = this.lo >>> 16;
    const b0 = lo & 0xffff;
    const b1 = lo >>> 16;
    const low = Math.imul(a0, b0) >>> 16;
    const middle = a1 * b0 + low;
    const carry = a0 * b1 + (middle & 0xffff);
    const top = a1 * b1 + (middle >>> 16) + (carry >>> 16);
    this.hi = (top + Math.imul(this.hi, lo) + Math.imul(this.lo, hi)) | 0;
    this.lo = Math.imul(this.lo, lo);
    return this;
  }

  /** Rotates left by 1–31 bits. */
  rotate(bits: number): this {
    const hi = (this.hi << bits) | (this.lo >>> (32 - bits));
    this.lo = (this.lo << bits) | (this.hi >>> (32 - bits));
    this.hi = hi;
    return this;
  }

  /** Exclusive or with itself shifted right by 1–63 bits. */
  xorShifted(bits: number): this {
    if (bits >= 32) return this.xor(0, this.hi >>> (bits - 32));
    return this.xor(this.hi >>> bits, (this.lo >>> bits) | (this.hi << (32 - bits)));
  }

  toBigInt(): bigint {
    return (BigInt(this.hi >>> 0) << 32n) | BigInt(this.lo >>> 0);
  }
}

const P1 = [0x9e3779b1, 0x85ebca87] as const;
const P2 = [0xc2b2ae3d, 0x27d4eb4f] as const;
const P3 = [0x165667b1, 0x9e3779f9] as const;
const P4 = [0x85ebca77, 0xc2b2ae63] as const;
const P5 = [0x27d4eb2f, 0x165667c5] as const;

const lanes = [new U64(), new U64(), new U64(), new U64()] as const;
const scratch = new U64();

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

function mix(lane: U64, hi: number, lo: number): void {
  const input = scratch.set(hi, lo).multiply(...P2);
  lane
    .add(input.hi, input.lo)
    .rotate(31)
    .multiply(...P1);
}

function merge(hash: U64, lane: U64): void {
  const rounded = scratch
    .copy(lane)
    .multiply(...P2)
    .rotate(31)
    .multiply(...P1);
  hash
    .xor(rounded.hi, rounded.lo)
    .multiply(...P1)
    .add(...P4);
}

/** Stripes of 32 bytes; returns where they end. */
function stripes(bytes: Uint8Array, start: number, end: number, out: U64): number {
  lanes[0].set(...P1).add(...P2);
  lanes[1].set(...P2);
  lanes[2].set(0, 0);
  lanes[3].set(~P1[0], ~P1[1]).add(0, 1);
  let at = start;
  for (; at + 32 <= end; at += 32) {
    for (let lane = 0; lane < 4; lane++)
      mix(lanes[lane] as U64, word(bytes, at + lane * 8 + 4), word(bytes, at + lane * 8));
  }
  out.set(0, 0);
  const rotations = [1, 7, 12, 18] as const;
  lanes.forEach((lane, index) => {
    const rotated = scratch.copy(lane).rotate(rotations[index] ?? 0);
    out.add(rotated.hi, rotated.lo);
  });
  for (const lane of lanes) merge(out, lane);
  return at;
}

function tail(bytes: Uint8Array, start: number, end: number, out: U64): void {
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const rounded = scratch
      .set(word(bytes, at + 4), word(bytes, at))
      .multiply(...P2)
      .rotate(31)
      .multiply(...P1);
    out
      .xor(rounded.hi, rounded.lo)
      .rotate(27)
      .multiply(...P1)
      .add(...P4);
  }
  if (at + 4 <= end) {
    const product = scratch.set(0, word(bytes, at)).multiply(...P1);
    out
      .xor(product.hi, product.lo)
      .rotate(23)
      .multiply(...P2)
      .add(...P3);
    at += 4;
  }
  for (; at < end; at++) {
    const product = scratch.set(0, bytes[at] ?? 0).multiply(...P5);
    out
      .xor(product.hi, product.lo)
      .rotate(11)
      .multiply(...P1);
  }
}

/** Hashes `bytes[start, end)` with seed 0 into `out` and returns it. */
export function xxh64(bytes: Uint8Array, start: number, end: number, out: U64 = new U64()): U64 {
  const length = end - start;
  const at = length >= 32 ? stripes(bytes, start, end, out) : start;
  if (length < 32) out.set(...P5);
  out.add(0, length);
  tail(bytes, at, end, out);
  return out
    .xorShifted(33)
    .multiply(...P2)
    .xorShifted(29)
    .multiply(...P3)
    .xorShifted(32);
}
