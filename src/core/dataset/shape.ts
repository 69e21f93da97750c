import type { Shape } from "../../protocol/corpus";

/** Shapes that a recipe builds. Preferences are pairs of answers behind a prompt, or pairs of whole conversations. */
export type BuildShape = "text" | "prompt/completion" | "chat" | "preference" | "preference/chat";

/** The columns that hold what a row of the shape says. */
export const shapeTexts: Readonly<Record<BuildShape, readonly OwnColumn[]>> = {
  text: ["text"],
  "prompt/completion": ["prompt", "completion"],
  chat: ["messages"],
  preference: ["prompt", "chosen", "rejected"],
  "preference/chat": ["chosen", "rejected"],
};

export const buildShapes = Object.keys(shapeTexts) as BuildShape[];

/** Columns of the shapes; of a row's those of its own shape are filled, and `text`. */
export const ownColumns = ["text", "prompt", "completion", "chosen", "rejected", "messages"] as const;
export type OwnColumn = (typeof ownColumns)[number];

/** Whether rows of this kind can be built; others can only be looked at. */
export function isBuildShape(shape: Shape | BuildShape): shape is BuildShape {
  return Object.hasOwn(shapeTexts, shape);
}

/** Columns that mark a shape, in the order in which they are tried. */
const marks: readonly { shape: Shape; columns: readonly string[] }[] = [
  { shape: "preference", columns: ["chosen", "rejected"] },
  { shape: "chat", columns: ["messages"] },
  { shape: "chat", columns: ["conversations"] },
  { shape: "prompt/completion", columns: ["prompt", "completion"] },
  { shape: "prompt/completion", columns: ["instruction", "output"] },
  { shape: "prompt/completion", columns: ["question", "answer"] },
  { shape: "text", columns: ["text"] },
];

/** The shape that a file's columns speak of; `table` when they speak of none. */
export function detectShape(columns: readonly string[]): Shape {
  const names = new Set(columns);
  return marks.find((mark) => mark.columns.every((column) => names.has(column)))?.shape ?? "table";
}

/** How a shape's columns are read from a file's. */
export type ShapeColumns =
  | { shape: "text"; text: string }
  | { shape: "prompt/completion"; prompt: string; input?: string; completion: string }
  | { shape: "chat"; messages: string; dialect: "messages" | "conversations" }
  | { shape: "preference"; prompt: string; chosen: string; rejected: string }
  /** The conversations stand in `chosen` and `rejected` as a whole, or their beginning apart in `prompt`. */
  | { shape: "preference/chat"; prompt?: string; chosen: string; rejected: string };

/** Which of the file's columns are the shape's: by the recipe's map, then the shape's own names, then the dialects that are widely used. Undefined names are missing columns. `nested` tells which columns hold lists, not texts. */
export function shapeColumns(shape: BuildShape, columns: readonly string[], map: Readonly<Record<string, string>>, nested: (column: string) => boolean = () => false): { columns: ShapeColumns } | { missing: string } {
  const has = (name: string) => columns.includes(name);
  const first = (role: string, names: readonly string[]): string | undefined => map[role] ?? names.find(has);
  if (shape === "text") {
    const text = first("text", ["text"]);
    if (text === undefined || !has(text)) return { missing: text ?? "text" };
    return { columns: { shape, text } };
  }
  if (shape === "chat") {
    const messages = first("messages", ["messages", "conversations"]);
    if (messages === undefined || !has(messages)) return { missing: messages ?? "messages" };
    return { columns: { shape, messages, dialect: messages === "conversations" ? "conversations" : "messages" } };
  }
  if (shape === "preference" || shape === "preference/chat") {
    const chosen = first("chosen", ["chosen"]);
    const rejected = first("rejected", ["rejected"]);
    const prompt = first("prompt", ["prompt", "instruction", "question"]);
    if (chosen === undefined || !has(chosen)) return { missing: chosen ?? "chosen" };
    if (rejected === undefined || !has(rejected)) return { missing: rejected ?? "rejected" };
    if (nested(chosen)) return { columns: { shape: "preference/chat", ...(prompt !== undefined && has(prompt) ? { prompt } : {}), chosen, rejected } };
    if (prompt === undefined || !has(prompt)) return { missing: prompt ?? "prompt" };
    return { columns: { shape: "preference", prompt, chosen, rejected } };
  }
  const alpaca = has("instruction") && has("output") && map.prompt === undefined;
  const prompt = first("prompt", ["prompt", "instruction", "question"]);
  const completion = first("completion", ["completion", "output", "answer", "response"]);
  if (prompt === undefined || !has(prompt)) return { missing: prompt ?? "prompt" };
  if (completion === undefined || !has(completion)) return { missing: completion ?? "completion" };
  return { columns: { shape, prompt, completion, input: alpaca && has("input") ? "input" : undefined } };
}
