import { formatScaled } from "../shared/format";

/** Losses, rewards: `12.3`, `0.45`, `0.045`, `−1.20`. */
export function formatLoss(value: number): string {
  return signed(Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(value !== 0 && Math.abs(value) < 0.1 ? 3 : 2));
}

/** Sizes that may be large or tiny: `1.2 k`, `12.3`, `0.45`, `3.1e−3`. */
export function formatNorm(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return formatScaled(value);
  return size !== 0 && size < 0.01 ? formatRate(value) : signed(value.toFixed(size >= 10 ? 1 : 2));
}

/** `2e−4`, `1.5e−3`. */
export function formatRate(value: number): string {
  return value === 0 ? "0" : signed(value.toExponential(1).replace(".0e", "e"));
}

/** A label of an axis whose labels lie `step` apart: as many digits as tell neighbours apart, the same for all. */
export function formatTick(value: number, step: number): string {
  if (!Number.isFinite(step) || step <= 0) return formatNorm(value);
  if (Math.abs(value) >= 1000 && step >= 1) return formatScaled(value);
  let decimals = 0;
  while (decimals < 5 && !isWhole(step * 10 ** decimals)) decimals++;
  if (decimals === 5) return formatRate(Math.abs(value) < step / 2 ? 0 : value);
  return signed((Math.abs(value) < step / 2 ? 0 : value).toFixed(decimals));
}

function isWhole(value: number): boolean {
  return Math.round(value) > 0 && Math.abs(value - Math.round(value)) < 1e-6;
}

function signed(text: string): string {
  return text.replaceAll("-", "−");
}
