import { describe, expect, it } from "vitest";
import { Bits } from "./bits";

/** A fixed sequence of numbers in [0, 1). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

describe.each([0, 1, 7, 8, 31, 32, 33, 1000, 4099])("%i rows", (length) => {
  it.each([0, 0.02, 0.5, 1])("of which %d are set are the same set as a list", (share) => {
    const random = numbers(length + 1);
    const set = Array.from({ length }, (_, row) => row).filter(() => random() < share);
    const bits = new Bits(length);
    for (const row of set) bits.set(row);
    expect(bits.count()).toBe(set.length);
    expect([...bits.list()]).toEqual(set);
    expect([...bits.not().list()]).toEqual(Array.from({ length }, (_, row) => row).filter((row) => !set.includes(row)));
    expect(Bits.all(length).count()).toBe(length);
    for (const skip of [0, 1, 13, 500]) for (const take of [1, 9, 100]) expect(bits.rows(skip, take)).toEqual(set.slice(skip, skip + take));
    const end = Math.floor(length / 2);
    expect([...bits.copy().cut(end).list()]).toEqual(set.filter((row) => row < end));
    const every = new Bits(length);
    for (let row = 0; row < length; row += 3) every.set(row);
    expect([...bits.copy().and(every).list()]).toEqual(set.filter((row) => row % 3 === 0));
    expect([...bits.copy().without(every).list()]).toEqual(set.filter((row) => row % 3 !== 0));
    expect(bits.countWithout(every)).toBe(set.filter((row) => row % 3 !== 0).length);
    const scratch = new Uint32Array(length + 8).fill(7);
    expect([...bits.list(set.length, scratch)]).toEqual(set);
    expect(set.every((row) => bits.has(row))).toBe(true);
  });
});

describe("bytes from elsewhere", () => {
  it("are added at their place, a byte's highest bit first, and what would lie behind the end is left out", () => {
    const bits = new Bits(40);
    bits.set(9);
    bits.add(8, Uint8Array.of(0b1000_0001, 0xff));
    bits.add(32, Uint8Array.of(1, 255, 255, 255, 255));
    expect([...bits.list()]).toEqual([8, 9, 15, 16, 17, 18, 19, 20, 21, 22, 23, 39]);
  });
});
