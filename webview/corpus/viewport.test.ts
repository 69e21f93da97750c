import { describe, expect, it } from "vitest";
import { lastTop, reveal, ROW_HEIGHT, scrollTopOf, topRow, viewportOf, visibleRows } from "./viewport";

const view = 480;

describe("a table that fits the scroll range", () => {
  it("scrolls one to one", () => {
    expect(viewportOf(7473)).toEqual({ height: 7473 * ROW_HEIGHT, compressed: false });
    expect(topRow(100 * ROW_HEIGHT, view, 7473)).toBe(100);
    expect(scrollTopOf(100, view, 7473)).toBe(100 * ROW_HEIGHT);
  });

  it("shows nothing of an empty table", () => {
    expect(visibleRows(0, view, 0)).toEqual({ first: 0, end: 0 });
    expect(lastTop(view, 0)).toBe(0);
  });
});

describe("a table of ten million rows", () => {
  const rows = 10_000_000;

  it("reaches its first and its last row", () => {
    const { height, compressed } = viewportOf(rows);
    expect(compressed).toBe(true);
    expect(height).toBeLessThan(17_000_000);
    expect(topRow(0, view, rows)).toBe(0);
    const top = topRow(height - view, view, rows);
    expect(visibleRows(top, view, rows).end).toBe(rows);
  });

  it("puts a row at the top and finds it there again", () => {
    for (const row of [0, 1, 12_345, 5_000_000, rows - 20]) {
      expect(topRow(scrollTopOf(row, view, rows), view, rows)).toBeCloseTo(row, 3);
    }
  });
});

describe("reveal", () => {
  it("moves only when the row is out of view, and as little as it takes", () => {
    expect(reveal(10, 5, view, 1000)).toBe(5);
    expect(reveal(3, 5, view, 1000)).toBe(3);
    expect(reveal(25, 5, view, 1000)).toBe(6);
    expect(reveal(999, 0, view, 1000)).toBe(980);
  });
});
