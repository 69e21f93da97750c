/** Bits that are set in a byte. */
const ones = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

function onesOf(word: number): number {
  // Sums of 2, 4 and 8 bits side by side in one word (Warren, "Hacker's Delight", 5-1).
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** One bit a row, a byte's highest bit first: the order in which DuckDB's `bitstring_agg` gives them. */
export class Bits {
  readonly bytes: Uint8Array;
  private readonly words: Uint32Array;

  constructor(readonly length: number) {
    const buffer = new ArrayBuffer(Math.ceil(length / 32) * 4);
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
  }

  static all(length: number): Bits {
    const bits = new Bits(length);
    bits.bytes.fill(255);
    bits.clearFrom(length);
    return bits;
  }

  has(row: number): boolean {
    return ((this.bytes[row >> 3] ?? 0) & (0x80 >> (row & 7))) !== 0;
  }

  set(row: number): void {
    this.bytes[row >> 3] = (this.bytes[row >> 3] ?? 0) | (0x80 >> (row & 7));
  }

  /** Sets what is set in `bytes`, whose first bit is that of row `from`, a multiple of 8. */
  add(from: number, bytes: Uint8Array): void {
    const at = from >> 3;
    const end = Math.min(bytes.length, this.bytes.length - at);
    for (let i = 0; i < end; i++) this.bytes[at + i] = (this.bytes[at + i] ?? 0) | (bytes[i] ?? 0);
    this.clearFrom(this.length);
  }

  /** Leaves the rows that `other` has too. */
  and(other: Bits): this {
    for (let i = 0; i < this.words.length; i++) this.words[i] = (this.words[i] as number) & (other.words[i] as number);
    return this;
  }

  /** The rows that are not here. */
  not(): Bits {
    const bits = new Bits(this.length);
    for (let i = 0; i < this.words.length; i++) bits.words[i] = ~(this.words[i] ?? 0);
    bits.clearFrom(this.length);
    return bits;
  }

  copy(): Bits {
    const bits = new Bits(this.length);
    bits.words.set(this.words);
    return bits;
  }

  /** Takes out the rows from `end` on. */
  cut(end: number): this {
    this.clearFrom(Math.min(end, this.length));
    return this;
  }

  count(): number {
    const { words } = this;
    let sum = 0;
    for (let i = 0; i < words.length; i++) sum += onesOf(words[i] as number);
    return sum;
  }

  /** How many rows are here and not in `other`. */
  countWithout(other: Bits): number {
    const { words } = this;
    let sum = 0;
    for (let i = 0; i < words.length; i++) sum += onesOf((words[i] as number) & ~(other.words[i] as number));
    return sum;
  }

  /** Takes out the rows that `other` has. */
  without(other: Bits): this {
    for (let i = 0; i < this.words.length; i++) this.words[i] = (this.words[i] as number) & ~(other.words[i] as number);
    return this;
  }

  /**
   * All rows in ascending order.
   * @param many how many there are, where that is known
   * @param into where they are written if they fit: memory that was written before is faster than new one
   */
  list(many = this.count(), into?: Uint32Array): Uint32Array {
    const found = into && into.length >= many + 8 ? into : new Uint32Array(many + 8);
    const { bytes } = this;
    let k = 0;
    for (let byte = 0; byte < bytes.length; byte++) {
      const here = bytes[byte] as number;
      if (here === 0) continue;
      const at = byte * 8;
      // Without branches: each is written, and counted only where its bit is set. Guessing bits at random costs three times as much.
      found[k] = at;
      k += here >> 7;
      found[k] = at + 1;
      k += (here >> 6) & 1;
      found[k] = at + 2;
      k += (here >> 5) & 1;
      found[k] = at + 3;
      k += (here >> 4) & 1;
      found[k] = at + 4;
      k += (here >> 3) & 1;
      found[k] = at + 5;
      k += (here >> 2) & 1;
      found[k] = at + 6;
      k += (here >> 1) & 1;
      found[k] = at + 7;
      k += here & 1;
    }
    return found.subarray(0, many);
  }

  /** `take` rows in ascending order, behind the first `skip`. */
  rows(skip: number, take: number): number[] {
    const found: number[] = [];
    let word = 0;
    for (; word < this.words.length; word++) {
      const here = onesOf(this.words[word] ?? 0);
      if (here > skip) break;
      skip -= here;
    }
    for (let byte = word * 4; byte < this.bytes.length && found.length < take; byte++) {
      const here = this.bytes[byte] ?? 0;
      if (here === 0) continue;
      const many = ones[here] ?? 0;
      if (many <= skip) {
        skip -= many;
        continue;
      }
      for (let bit = 0; bit < 8 && found.length < take; bit++) {
        if ((here & (0x80 >> bit)) === 0) continue;
        if (skip > 0) skip--;
        else found.push(byte * 8 + bit);
      }
    }
    return found;
  }

  /** The bits behind the last row are never set. */
  private clearFrom(end: number): void {
    const byte = end >> 3;
    if (byte >= this.bytes.length) return;
    this.bytes[byte] = (this.bytes[byte] ?? 0) & ~(0xff >> (end & 7));
    this.bytes.fill(0, byte + 1);
  }
}

