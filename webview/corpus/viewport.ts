/**
 * Which rows a scrolled grid shows. Browsers limit an element's height (33.5 M px in Chromium, less elsewhere), so a table of
 * more rows than fit gets a shorter scroll range: the thumb then maps to rows in proportion, and wheel and keys move by whole rows.
 */
export const ROW_HEIGHT = 24;
const MAX_HEIGHT = 8_000_000;

export interface Viewport {
  /** Height of the scrolled content, px. */
  height: number;
  /** Whether the scroll range is shorter than the rows. */
  compressed: boolean;
}

export function viewportOf(rows: number): Viewport {
  const full = rows * ROW_HEIGHT;
  return full <= MAX_HEIGHT ? { height: full, compressed: false } : { height: MAX_HEIGHT, compressed: true };
}

/** The row at the top of the view, with its fraction, for a scroll offset in px. `view` is the height that shows rows. */
export function topRow(scrollTop: number, view: number, rows: number): number {
  const { height, compressed } = viewportOf(rows);
  if (!compressed) return clamp(scrollTop / ROW_HEIGHT, 0, lastTop(view, rows));
  const range = height - view;
  return range <= 0 ? 0 : clamp((scrollTop / range) * lastTop(view, rows), 0, lastTop(view, rows));
}

/** The scroll offset in px that puts a row at the top. */
export function scrollTopOf(row: number, view: number, rows: number): number {
  const { height, compressed } = viewportOf(rows);
  const top = clamp(row, 0, lastTop(view, rows));
  if (!compressed) return top * ROW_HEIGHT;
  const last = lastTop(view, rows);
  return last === 0 ? 0 : (top / last) * (height - view);
}

/** The highest row that may stand at the top: the last row then touches the bottom. */
export function lastTop(view: number, rows: number): number {
  return Math.max(0, rows - view / ROW_HEIGHT);
}

/** First and last row (exclusive) to draw. */
export function visibleRows(top: number, view: number, rows: number): { first: number; end: number } {
  const first = Math.max(0, Math.floor(top));
  return { first, end: Math.min(rows, Math.ceil(top + view / ROW_HEIGHT)) };
}

/** The top row that brings `row` into view with the least movement. */
export function reveal(row: number, top: number, view: number, rows: number): number {
  const fit = view / ROW_HEIGHT;
  if (row < top) return row;
  if (row + 1 > top + fit) return clamp(row + 1 - fit, 0, lastTop(view, rows));
  return top;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
