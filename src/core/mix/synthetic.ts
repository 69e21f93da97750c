import { ident, literal } from "../sql";

/** Which rows count as synthetic. */
export interface SyntheticRule {
  /** The column that says it; `source` is the source's name. */
  column: string;
  /** Its values that do; `syntheticWords` when absent. */
  values?: string[];
}

/** What a column says of a synthetic row where the recipe lists no values, in any case and with any space around it; numbers count as `1` or `1.0`. */
export const syntheticWords = ["synthetic", "true", "yes", "1", "1.0"] as const;

/** Whether a row is synthetic, as SQL over its column; NULL is not. */
export function isSynthetic(rule: SyntheticRule, column = ident(rule.column)): string {
  const [text, words] = rule.values ? [`${column}::VARCHAR`, rule.values] : [`lower(trim(${column}::VARCHAR))`, syntheticWords as readonly string[]];
  return `coalesce(${text} IN (${words.map((word) => literal(word)).join(", ")}), false)`;
}
