import { piiKinds } from "../core/recipe";
import { qualitySql } from "../core/steps";

/** Columns that Tillage computes from a row's text, beside the file's own. */
export const derivedColumns = [
  { name: "chars", type: "BIGINT", kind: "number" },
  { name: "words", type: "BIGINT", kind: "number" },
  { name: "language", type: "VARCHAR", kind: "category" },
  { name: "quality", type: "VARCHAR", kind: "category" },
  { name: "pii", type: "VARCHAR", kind: "category" },
] as const;

/** Kinds found, sorted, or `none`. */
export function piiSql(text: string): string {
  const kinds = `list_filter(${JSON.stringify(piiKinds).replaceAll('"', "'")}, lambda k: list_contains(list_transform(till_pii(${text}), lambda f: f.kind), k))`;
  return `CASE WHEN len(till_pii(${text})) = 0 THEN 'none' ELSE array_to_string(${kinds}, ', ') END`;
}

/** The derived columns as SQL over a row's whole text. */
export function derivedSql(text = "text"): Record<(typeof derivedColumns)[number]["name"], string> {
  return {
    chars: `length(${text})`,
    words: `till_words(${text})`,
    language: `coalesce(till_language(${text}).lang, 'none')`,
    quality: `coalesce(${qualitySql("gopher", {}, `till_quality(${text})`).reason}, 'ok')`,
    pii: piiSql(text),
  };
}
