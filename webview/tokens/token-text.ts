import type { Token } from "../../src/protocol/native.gen";

export interface Piece {
  text: string;
  /** Stands for white space or a byte that has no letter of its own. */
  symbol: boolean;
  /** The line ends here. */
  breaks?: boolean;
}

const SYMBOLS: Readonly<Record<string, string>> = { " ": "·", "\t": "→", "\n": "⏎", "\r": "␍", "\u00a0": "⍽" };

/** A token's text with its white space made visible; an empty one gets a sign of its own. */
export function pieces(text: string): Piece[] {
  if (text === "") return [{ text: "∅", symbol: true }];
  const out: Piece[] = [];
  for (const char of text) {
    const symbol = SYMBOLS[char] ?? (isControl(char) ? `\\x${char.codePointAt(0)?.toString(16).padStart(2, "0") ?? ""}` : undefined);
    const last = out.at(-1);
    if (symbol !== undefined) out.push({ text: symbol, symbol: true, breaks: char === "\n" });
    else if (last && !last.symbol) last.text += char;
    else out.push({ text: char, symbol: false });
  }
  return out;
}

function isControl(char: string): boolean {
  const code = char.codePointAt(0) ?? 0;
  return code < 32 || code === 127 || code === 0xfffd;
}

export interface TokenCounts {
  all: number;
  trained: number;
  masked: number;
  special: number;
  cut: number;
}

/** Counts what the model sees: tokens beyond the context are cut and count for nothing else. */
export function countTokens(tokens: readonly Token[], context: number): TokenCounts {
  const seen = tokens.slice(0, context);
  const trained = seen.filter((token) => token.trained).length;
  return { all: seen.length, trained, masked: seen.length - trained, special: seen.filter((token) => token.special).length, cut: tokens.length - seen.length };
}

/** Characters that a token stands for, over the whole text: what the context cuts off counts on both sides. */
export function charactersPerToken(text: string, tokens: readonly Token[]): number {
  return Array.from(text).length / Math.max(1, tokens.length);
}

/** What is said of a token under the pointer or the caret. */
export function describeToken(token: Token, index: number, context: number): string {
  const role = index >= context ? "cut off by the context" : token.trained ? "trained on" : "masked: no loss";
  return `token ${index + 1} · id ${token.id} · ${JSON.stringify(token.text)} · ${role}${token.special ? " · special" : ""}`;
}
