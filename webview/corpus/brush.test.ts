import { describe, expect, it } from "vitest";
import type { HistogramBin } from "../../src/protocol/corpus";
import { barHeights, binAt, brushOfRange, dragBrush, moveHandle, positionOf, rangeOfBrush, shiftBrush } from "./brush";

const bins: HistogramBin[] = Array.from({ length: 10 }, (_, index) => ({ x0: index * 10, x1: (index + 1) * 10, all: 1, selected: 1 }));

describe("binAt", () => {
  it("finds the bin under the pointer and stays within the chart", () => {
    expect(binAt(0, 200, 10)).toBe(0);
    expect(binAt(99, 200, 10)).toBe(4);
    expect(binAt(200, 200, 10)).toBe(9);
    expect(binAt(-50, 200, 10)).toBe(0);
    expect(binAt(10, 0, 10)).toBe(0);
  });
});

describe("dragging", () => {
  it("covers both ends in either direction", () => {
    expect(dragBrush(2, 5)).toEqual({ from: 2, to: 6 });
    expect(dragBrush(5, 2)).toEqual({ from: 2, to: 6 });
    expect(dragBrush(3, 3)).toEqual({ from: 3, to: 4 });
  });

  it("moves a brush at its width and stops at the ends", () => {
    expect(shiftBrush({ from: 2, to: 5 }, 3, 10)).toEqual({ from: 5, to: 8 });
    expect(shiftBrush({ from: 2, to: 5 }, 30, 10)).toEqual({ from: 7, to: 10 });
    expect(shiftBrush({ from: 2, to: 5 }, -30, 10)).toEqual({ from: 0, to: 3 });
  });
});

describe("handles", () => {
  it("never cross", () => {
    expect(moveHandle({ from: 2, to: 4 }, "from", 5, 10)).toEqual({ from: 3, to: 4 });
    expect(moveHandle({ from: 2, to: 4 }, "to", -5, 10)).toEqual({ from: 2, to: 3 });
    expect(moveHandle({ from: 2, to: 4 }, "to", 50, 10)).toEqual({ from: 2, to: 10 });
  });

  it("goes to the next edge from between two", () => {
    expect(moveHandle({ from: 2.4, to: 8 }, "from", 1, 10).from).toBe(3);
    expect(moveHandle({ from: 2.4, to: 8 }, "from", -1, 10).from).toBe(2);
  });
});

describe("ranges", () => {
  it("are open at the ends of the chart", () => {
    expect(rangeOfBrush({ from: 0, to: 4 }, bins, false)).toEqual({ min: null, max: 40 });
    expect(rangeOfBrush({ from: 3, to: 10 }, bins, false)).toEqual({ min: 30, max: null });
  });

  it("leave the next bin's first integer out, as ranges include both ends", () => {
    expect(rangeOfBrush({ from: 2, to: 4 }, bins, true)).toEqual({ min: 20, max: 39 });
    const narrow: HistogramBin[] = [{ x0: 0, x1: 0.5, all: 1, selected: 1 }, { x0: 0.5, x1: 1.5, all: 1, selected: 1 }, { x0: 1.5, x1: 2, all: 1, selected: 1 }];
    expect(rangeOfBrush({ from: 1, to: 2 }, narrow, true)).toEqual({ min: 1, max: 1 });
    const between = [0.2, 0.4, 0.6].map((x0): HistogramBin => ({ x0, x1: x0 + 0.2, all: 1, selected: 1 }));
    expect(rangeOfBrush({ from: 1, to: 2 }, between, true)).toEqual({ min: 1, max: 1 });
  });

  it("come back as the brush that made them", () => {
    for (const integers of [true, false]) {
      for (const brush of [{ from: 0, to: 1 }, { from: 2, to: 7 }, { from: 9, to: 10 }]) {
        expect(brushOfRange(rangeOfBrush(brush, bins, integers), bins, integers)).toEqual(brush);
      }
    }
  });

  it("lie within their bin when typed, whatever the bins' widths", () => {
    const uneven: HistogramBin[] = [{ x0: 0, x1: 1, all: 1, selected: 0 }, { x0: 1, x1: 100, all: 1, selected: 0 }];
    expect(positionOf(0.5, uneven)).toBe(0.5);
    expect(positionOf(50.5, uneven)).toBe(1.5);
    expect(positionOf(-3, uneven)).toBe(0);
    expect(positionOf(1000, uneven)).toBe(2);
  });
});

describe("barHeights", () => {
  it("grow with the count and are nothing for nothing", () => {
    const heights = barHeights([0, 1, 25, 100], 100);
    expect(heights).toEqual([0, 0.1, 0.5, 1]);
  });
});
