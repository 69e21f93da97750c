import { describe, expect, it } from "vitest";
import { lttb, lttbTogether } from "./downsample";
import { secondsLeft, smooth } from "./series";

describe("smooth", () => {
  it("keeps a constant as it is from the first value on", () => {
    for (const value of smooth([3, 3, 3, 3], 0.9)) expect(value).toBeCloseTo(3, 12);
  });
  it("is the values themselves without weight", () => {
    expect(smooth([1, 5, 2], 0)).toEqual([1, 5, 2]);
  });
  it("weighs as its formula says", () => {
    const [first, second] = smooth([1, 2], 0.5);
    expect(first).toBeCloseTo(1);
    expect(second).toBeCloseTo((0.25 * 1 + 0.5 * 2) / 0.75);
  });
});

describe("secondsLeft", () => {
  it("looks at the window only", () => {
    const steps = Array.from({ length: 100 }, (_value, index) => index + 1);
    const seconds = steps.map((step) => (step <= 50 ? step * 10 : 500 + (step - 50)));
    expect(secondsLeft(steps, seconds, 200, 20)).toBeCloseTo(100);
  });
  it("is unknown from one step", () => {
    expect(secondsLeft([1], [1], 10)).toBeUndefined();
  });
});

describe("lttb", () => {
  const x = Array.from({ length: 10_000 }, (_value, index) => index);
  it("keeps everything that is few enough", () => {
    expect(lttb([1, 2, 3], [1, 2, 3], 3)).toEqual([0, 1, 2]);
  });
  it("keeps as many as asked for, ascending, with both ends", () => {
    const kept = lttb(x, x.map((value) => Math.sin(value / 100)), 500);
    expect(kept).toHaveLength(500);
    expect(kept[0]).toBe(0);
    expect(kept.at(-1)).toBe(9_999);
    expect(kept.every((value, index) => index === 0 || value > (kept[index - 1] ?? 0))).toBe(true);
  });
  it("keeps a spike of one point, which taking every n-th would lose", () => {
    const y = x.map((value) => (value === 4_321 ? 100 : Math.cos(value / 500)));
    expect(lttb(x, y, 200)).toContain(4_321);
  });
  it("keeps the spikes of every curve when they share their points", () => {
    const loss = x.map((value) => (value === 1_111 ? 9 : 1));
    const norm = x.map((value) => (value === 7_777 ? 9 : 1));
    const kept = lttbTogether(x, [{ y: loss, keep: 100 }, { y: norm, keep: 50 }]);
    expect(kept).toContain(1_111);
    expect(kept).toContain(7_777);
    expect(kept.length).toBeLessThanOrEqual(150);
  });
  it("refuses to keep fewer than three", () => {
    expect(() => lttb(x, x, 2)).toThrow(RangeError);
  });
});
