import { z } from "zod";
import type { Cell, Shape } from "../../protocol/corpus";
import type { Message, Row } from "../../protocol/native.gen";
import { isBuildShape, shapeColumns } from "./shape";

const messagesSchema = z.array(z.object({ role: z.string(), content: z.string() }));
const shareGptSchema = z.array(z.object({ from: z.string(), value: z.string() }));
const SHARE_GPT_ROLES: Readonly<Record<string, string>> = { human: "user", gpt: "assistant", system: "system" };

/**
 * A file's row in the shape that the engine takes.
 * What has none of the trained shapes becomes text: its text cells, one below the other.
 */
export function nativeRow(shape: Shape, values: Readonly<Record<string, Cell>>): Row {
  const names = Object.keys(values);
  const text = (name: string): string => String(values[name] ?? "");
  if (isBuildShape(shape)) {
    const found = shapeColumns(shape, names, {});
    if ("columns" in found) {
      const { columns } = found;
      if (columns.shape === "text") return { text: text(columns.text) };
      if (columns.shape === "prompt/completion") {
        const input = columns.input === undefined ? "" : text(columns.input);
        return { prompt: input === "" ? text(columns.prompt) : `${text(columns.prompt)}\n\n${input}`, completion: text(columns.completion) };
      }
      // Of a pair the chosen answer is what the model should say.
      if (columns.shape === "preference") return { prompt: text(columns.prompt), completion: text(columns.chosen) };
      const messages = parseMessages(text(columns.shape === "chat" ? columns.messages : columns.chosen));
      if (messages) return { messages };
    }
  }
  return { text: names.map((name) => values[name]).filter((value) => typeof value === "string").join("\n") };
}

/** Messages as JSON text, in OpenAI's or ShareGPT's dialect; undefined when they are neither. */
export function parseMessages(json: string): Message[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const own = messagesSchema.safeParse(value);
  if (own.success) return own.data;
  const shared = shareGptSchema.safeParse(value);
  return shared.success ? shared.data.map(({ from, value: content }) => ({ role: SHARE_GPT_ROLES[from] ?? from, content })) : undefined;
}
