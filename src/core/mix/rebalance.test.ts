import { describe, expect, it } from "vitest";
import { rebalance, roundToOne } from "./rebalance";

const total = (shares: number[]): number => Math.round(shares.reduce((sum, share) => sum + share * 1000, 0));

describe("sliders that sum to 100 %", () => {
  it("rescales the others in proportion", () => {
    expect(rebalance([0.5, 0.3, 0.2], [false, false, false], 0, 0.75)).toEqual([0.75, 0.15, 0.1]);
  });

  it("keeps locked groups and stops at what they leave", () => {
    expect(rebalance([0.5, 0.3, 0.2], [false, true, false], 0, 0.6)).toEqual([0.6, 0.3, 0.1]);
    expect(rebalance([0.5, 0.3, 0.2], [false, true, false], 0, 0.95)).toEqual([0.7, 0.3, 0]);
  });

  it("does not move when every other group is locked, or when there is no other", () => {
    expect(rebalance([0.5, 0.3, 0.2], [false, true, true], 0, 0.9)).toEqual([0.5, 0.3, 0.2]);
    expect(rebalance([1], [false], 0, 0.4)).toEqual([1]);
  });

  it("gives the rest out equally where the others had nothing", () => {
    expect(rebalance([1, 0, 0], [false, false, false], 0, 0.5)).toEqual([0.5, 0.25, 0.25]);
  });

  it("never leaves the unit interval", () => {
    expect(rebalance([0.5, 0.5], [false, false], 1, 7)).toEqual([0, 1]);
    expect(rebalance([0.5, 0.5], [false, false], 1, -3)).toEqual([1, 0]);
  });

  it("sums to exactly one after rounding, for any shares", () => {
    let seed = 7;
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
    for (let round = 0; round < 500; round++) {
      const count = 2 + Math.floor(random() * 7);
      const raw = Array.from({ length: count }, random);
      const scale = raw.reduce((sum, value) => sum + value, 0);
      const shares = roundToOne(raw.map((value) => value / scale));
      const locked = shares.map(() => random() < 0.3);
      const index = Math.floor(random() * count);
      const moved = rebalance(shares, locked, index, random());
      expect(total(moved)).toBe(1000);
      expect(moved.every((share) => share >= 0 && share <= 1)).toBe(true);
      shares.forEach((share, i) => {
        if (locked[i] && i !== index) expect(moved[i]).toBe(share);
      });
    }
  });

  it("rounds thirds by largest remainder", () => {
    expect(roundToOne([1 / 3, 1 / 3, 1 / 3])).toEqual([0.334, 0.333, 0.333]);
  });
});
