import type { Shape } from "../../protocol/corpus";

/** Shapes that a recipe may declare a source to have. */
export type SourceShape = Exclude<Shape, "table">;

export interface ShapeRole {
  role: string;
  /** Rows cannot be read without it; of `either` and `or` one is enough. */
  needed: boolean | "either" | "or";
  doc: string;
}

const prompt: ShapeRole = { role: "prompt", needed: true, doc: "what is asked" };
const input: ShapeRole = { role: "input", needed: false, doc: "more of the question, put behind the prompt, as in Alpaca" };

/** What a source's columns may be, by shape; the keys of its `map`. */
export const shapeRoles: Readonly<Record<SourceShape, readonly ShapeRole[]>> = {
  text: [{ role: "text", needed: true, doc: "the document" }],
  "prompt/completion": [prompt, input, { role: "completion", needed: true, doc: "the answer" }],
  chat: [
    { role: "messages", needed: true, doc: "the list of turns" },
    { role: "prompt", needed: false, doc: "a list of turns that comes before" },
    { role: "system", needed: false, doc: "a text that becomes the first turn" },
  ],
  preference: [
    { ...prompt, needed: false },
    input,
    { role: "chosen", needed: "either", doc: "the better answer" },
    { role: "rejected", needed: "either", doc: "the worse answer" },
    { role: "completion", needed: "or", doc: "a single answer, with a label" },
    { role: "label", needed: "or", doc: "whether the single answer is good: true or false" },
  ],
  verifiable: [prompt, input, { role: "answer", needed: "either", doc: "the answer that is wanted" }, { role: "tests", needed: "or", doc: "tests that an answer has to pass" }],
};

/** `prompt/completion (prompt: question, completion: answer)`; `text` alone where the column is called so too. */
export function readingText({ shape, columns }: { shape: string; columns: Readonly<Record<string, string>> }): string {
  const entries = Object.entries(columns);
  return entries.length === 0 || (entries.length === 1 && entries[0]?.[1] === shape) ? shape : `${shape} (${entries.map(([role, column]) => (role === column ? column : `${role}: ${column}`)).join(", ")})`;
}

/** Whether a recipe may declare a source to have this shape. */
export function isSourceShape(shape: string): shape is SourceShape {
  return Object.hasOwn(shapeRoles, shape);
}

/** The roles that still need a column before rows can be read: of `either` and `or` one group as a whole. */
export function missingRoles(shape: SourceShape, columns: Readonly<Record<string, string>>): string[] {
  const lacking = (group: ShapeRole["needed"]): string[] => shapeRoles[shape].filter(({ role, needed }) => needed === group && (columns[role] ?? "") === "").map(({ role }) => role);
  const [either, or] = [lacking("either"), lacking("or")];
  return [...lacking(true), ...(either.length > 0 && or.length > 0 ? either : [])];
}
