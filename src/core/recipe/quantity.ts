/** Amounts as people write them in a recipe. */

const scale: Record<string, number> = { "": 1, k: 1e3, m: 1e6, b: 1e9, t: 1e12 };

/** `60%`, `60 %` or `0.6` as a fraction; undefined when it is none. Percentages above 100 are none. */
export function parseShare(value: unknown): number | undefined {
  if (typeof value === "number") return value >= 0 && value <= 1 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const match = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(value);
  const share = match?.[1] === undefined ? Number.NaN : Number(match[1]) / 100;
  return share >= 0 && share <= 1 ? share : undefined;
}

/** `20M tokens`, `300k` or `20000000` as a number of tokens; undefined when it is none. */
export function parseTokens(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value > 0 ? Math.round(value) : undefined;
  if (typeof value !== "string") return undefined;
  const match = /^\s*(\d[\d_,]*(?:\.\d+)?)\s*([kmbt]?)\s*(?:tokens?)?\s*$/i.exec(value);
  if (match?.[1] === undefined) return undefined;
  const tokens = Math.round(Number(match[1].replace(/[_,]/g, "")) * (scale[(match[2] ?? "").toLowerCase()] ?? Number.NaN));
  return tokens > 0 ? tokens : undefined;
}

/** A fraction as a recipe writes it: `60%`, with one decimal only where it is needed. */
export function formatShare(share: number): string {
  const percent = Math.round(share * 1000) / 10;
  return `${percent}%`;
}

/** A number of tokens as a recipe writes it: `20M tokens`. */
export function formatTokens(tokens: number): string {
  for (const [unit, factor] of [["B", 1e9], ["M", 1e6], ["k", 1e3]] as const) {
    if (tokens >= factor) return `${Number((tokens / factor).toPrecision(6))}${unit} tokens`;
  }
  return `${tokens} tokens`;
}
