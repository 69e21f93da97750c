/** Bins of equal, round width for a histogram. */
export interface Bins {
  /** Left end of the first bin. */
  start: number;
  width: number;
  count: number;
  /** Right end of the last bin; it holds the rest where a few values lie far above the others. */
  end: number;
}

/** The smallest of 1, 2 or 5 times a power of ten that is not below the value. */
export function niceStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= value * (1 - 1e-9)) ?? 10;
  return Number((factor * power).toPrecision(12));
}

/**
 * About so many bins with round ends between a column's least and greatest value. `most` is a value below which nearly all lie: where
 * the greatest is more than twice as far away, the last bin takes all that is above. Integers get bins of whole numbers.
 */
export function niceBins(min: number, max: number, most: number, integer: boolean, target = 24): Bins {
  const top = max - min > 2 * (most - min) && most > min ? most : max;
  const raw = (top - min) / target;
  const step = raw > 0 ? niceStep(raw) : integer ? 1 : Math.max(Math.abs(min) * 0.01, 1e-9);
  const width = integer ? Math.max(1, step) : step;
  const start = Number((Math.floor(min / width) * width).toPrecision(12));
  const count = Math.max(1, Math.floor((top - start) / width + 1e-9) + 1);
  const end = Number((start + count * width).toPrecision(12));
  return { start, width, count, end: max >= end ? max : end };
}
