/** Numbers as people read them, the same in CodeLens, trees, panels and terminal tables. No locale: output is stable. */

/** Groups of three digits: `7,473`. Fractions are rounded. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(Math.round(value)).toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return Math.round(value) < 0 ? `−${text}` : text;
}

/** A change in rows: `−372`, `+5`, `±0`. */
export function formatDelta(value: number): string {
  const rounded = Math.round(value);
  if (rounded === 0) return "±0";
  return rounded < 0 ? formatCount(rounded) : `+${formatCount(rounded)}`;
}

const SCALES: readonly [number, string][] = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];

/** Three significant digits with a decimal scale: `812`, `12.4 k`, `1.31 M`, `7.00 B`. */
export function formatScaled(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  if (Math.round(size) < 1000) return sign + (Number.isInteger(size) ? size.toString() : trimmed(size));
  // 999,999 must become 1.00 M and not 1,000 k, so the scale is chosen after rounding.
  for (const [scale, unit] of SCALES) {
    if (size >= scale * 0.9995) return `${sign}${digits(size / scale)} ${unit}`;
  }
  return sign + digits(size);
}

/** Bytes in decimal units (1 MB = 10^6 B): `512 B`, `3.1 MB`, `1.2 GB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = Math.abs(bytes);
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const text = unit === 0 || size >= 99.95 ? Math.round(size).toString() : size.toFixed(1);
  return `${bytes < 0 ? "−" : ""}${text} ${units[unit] ?? "B"}`;
}

/** A fraction of one as a percentage: `38 %`, `4.2 %`, `0.3 %`, `< 0.1 %`. */
export function formatPercent(fraction: number): string {
  if (!Number.isFinite(fraction)) return "–";
  const percent = fraction * 100;
  if (percent > 0 && percent < 0.05) return "< 0.1 %";
  if (percent === 0 || Math.abs(percent) >= 9.95) return `${Math.round(percent)} %`.replace("-", "−");
  return `${percent.toFixed(1).replace(/\.0$/, "")} %`.replace("-", "−");
}

/** Seconds: `0.4 s`, `12 s`, `3 min 05 s`, `1 h 12 min`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** `1 row`, `7,473 rows`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${Math.round(count) === 1 ? one : many}`;
}

function digits(size: number): string {
  if (size >= 99.95) return Math.round(size).toString();
  return size >= 9.995 ? size.toFixed(1) : size.toFixed(2);
}

function trimmed(size: number): string {
  return digits(size).replace(/\.?0+$/, "");
}
