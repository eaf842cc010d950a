const DOUBLE = 8;
const INTS_PER_DOUBLE = 2;

/** Doubles that so many 32-bit integers take. */
export const doublesOfInts = (count: number): number => Math.ceil(count / INTS_PER_DOUBLE);

const FIRST_DOUBLES = 16 * 1024;

/** Numbers one after the other in one block of memory, which grows to its bound; then the newest overwrite the oldest. */
export class NumberLog {
  #floats: Float64Array;
  #ints: Int32Array;
  readonly #maxDoubles: number;
  /** Doubles ever taken, gaps at the end of the block included. */
  #taken = 0;

  constructor(maxBytes: number) {
    this.#maxDoubles = Math.floor(maxBytes / DOUBLE);
    this.#floats = new Float64Array(Math.min(FIRST_DOUBLES, this.#maxDoubles));
    this.#ints = new Int32Array(this.#floats.buffer);
  }

  /** Takes room for so many doubles and returns its place; -1 when there never is so much. */
  reserve(doubles: number): number {
    if (doubles > this.#maxDoubles) return -1;
    while (this.#taken + doubles > this.#floats.length && this.#floats.length < this.#maxDoubles) this.#grow();
    const { length } = this.#floats;
    const at = this.#taken % length;
    if (at + doubles > length) this.#taken += length - at;
    const place = this.#taken;
    this.#taken += doubles;
    return place;
  }

  /** Places stay what they are: nothing has been overwritten before the block has its full length. */
  #grow(): void {
    const longer = new Float64Array(Math.min(this.#maxDoubles, this.#floats.length * 2));
    longer.set(this.#floats);
    this.#floats = longer;
    this.#ints = new Int32Array(longer.buffer);
  }

  /** Whether what was written at a place is still there. */
  holds(place: number): boolean {
    return this.#taken - place <= this.#floats.length;
  }

  put(place: number, value: number): void {
    this.#floats[place % this.#floats.length] = value;
  }

  putFloats(place: number, values: Float64Array): void {
    this.#floats.set(values, place % this.#floats.length);
  }

  putInts(place: number, values: Int32Array): void {
    this.#ints.set(values, (place % this.#floats.length) * INTS_PER_DOUBLE);
  }

  get(place: number): number {
    return this.#floats[place % this.#floats.length] ?? 0;
  }

  floats(place: number, count: number): Float64Array {
    const at = place % this.#floats.length;
    return this.#floats.slice(at, at + count);
  }

  ints(place: number, count: number): Int32Array {
    const at = (place % this.#floats.length) * INTS_PER_DOUBLE;
    return this.#ints.slice(at, at + count);
  }
}
