import { z } from "zod";
import { parseShare, parseTokens } from "./quantity";

/** What the editor says about a key of the recipe: hover text, values to complete, and the keys below it. */
export interface FieldDoc {
  /** Markdown. */
  doc: string;
  /** Values that completion offers. */
  values?: readonly string[];
  /** What completion inserts after `key: `, in VS Code's snippet syntax. */
  snippet?: string;
  /** Keys of a mapping. */
  fields?: Readonly<Record<string, FieldDoc>>;
  /** A mapping with keys of the user's choice: what stands below each. */
  each?: FieldDoc;
  /** A list: what its items are. */
  items?: FieldDoc;
}

/** A fraction written `60%` or `0.6`. */
export const shareSchema = z.unknown().transform((value, context): number => {
  const share = parseShare(value);
  if (share !== undefined) return share;
  context.addIssue({ code: "custom", message: "should be a share such as 60% or 0.6" });
  return z.NEVER;
});

/** A number of tokens written `20M tokens`. */
export const tokensSchema = z.unknown().transform((value, context): number => {
  const tokens = parseTokens(value);
  if (tokens !== undefined) return tokens;
  context.addIssue({ code: "custom", message: "should be a number of tokens such as 20M tokens or 300k" });
  return z.NEVER;
});

/** One value or a list of them, as a list. */
export const oneOrMore = <T extends z.ZodType>(item: T) =>
  z.union([z.array(item).min(1), item]).transform((value): z.output<T>[] => (Array.isArray(value) ? (value as z.output<T>[]) : [value as z.output<T>]));
