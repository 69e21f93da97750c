import { isMap, isScalar, parseDocument } from "yaml";

export interface SourceRange {
  name: string;
  /** 0-based offset of the source's key. */
  start: number;
}

/** Where the sources of a recipe's text stand; as many as can be read when the text is half typed. */
export function sourceRanges(text: string): SourceRange[] {
  const sources = parseDocument(text).get("sources", true);
  if (!isMap(sources)) return [];
  return sources.items.flatMap(({ key }) => {
    if (!isScalar(key) || !key.range) return [];
    return [{ name: String(key.value), start: key.range[0] }];
  });
}
