import { describe, expect, it } from "vitest";
import { formatBytes, formatCount, formatDelta, formatDuration, formatPercent, formatScaled, plural } from "./format";

describe("numbers as people read them", () => {
  it("groups counts and signs changes", () => {
    expect([0, 7, 999, 1000, 7473, 1234567].map(formatCount)).toEqual(["0", "7", "999", "1,000", "7,473", "1,234,567"]);
    expect([-372, 0, 5, -1200].map(formatDelta)).toEqual(["−372", "±0", "+5", "−1,200"]);
    expect(formatCount(Number.NaN)).toBe("–");
  });

  it("scales with three significant digits and never shows 1,000 of a unit", () => {
    expect([0, 812, 12_400, 1_310_000, 20_000_000, 7e9].map(formatScaled)).toEqual(["0", "812", "12.4 k", "1.31 M", "20.0 M", "7.00 B"]);
    expect([999.4, 999.6, 999_999, 999_400].map(formatScaled)).toEqual(["999", "1.00 k", "1.00 M", "999 k"]);
    expect(formatScaled(9.7)).toBe("9.7");
  });

  it("gives bytes, percent and time their units", () => {
    expect([0, 512, 3_100_000, 1_200_000_000, 999_999].map(formatBytes)).toEqual(["0 B", "512 B", "3.1 MB", "1.2 GB", "1.0 MB"]);
    expect([0, 0.0001, 0.003, 0.042, 0.38, 1].map(formatPercent)).toEqual(["0 %", "< 0.1 %", "0.3 %", "4.2 %", "38 %", "100 %"]);
    expect([0.42, 12, 59.9, 185, 4320, 3599.9].map(formatDuration)).toEqual(["0.4 s", "12 s", "1 min 00 s", "3 min 05 s", "1 h 12 min", "1 h 00 min"]);
  });

  it("counts one and many", () => {
    expect([plural(1, "row"), plural(2, "row"), plural(0, "entry", "entries")]).toEqual(["1 row", "2 rows", "0 entries"]);
  });
});
