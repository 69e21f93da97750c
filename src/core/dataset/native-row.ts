import { z } from "zod";
import type { Cell, Shape } from "../../protocol/corpus";
import type { Message, Row } from "../../protocol/native.gen";
import { messageSchema } from "../../protocol/row-schema";
import { isBuildShape, shapeColumns, type ShapeColumns } from "./shape";

const messagesSchema = z.array(messageSchema);
const toolsSchema = z.array(z.unknown());
const shareGptSchema = z.array(z.object({ from: z.string(), value: z.string() }));
const SHARE_GPT_ROLES: Readonly<Record<string, string>> = { human: "user", gpt: "assistant", system: "system" };

type Values = Readonly<Record<string, Cell>>;

/**
 * A file's row in the shape that the engine takes: pairs with both answers, judged answers with their `label`, conversations with
 * their `tools`. What has none of the trained shapes becomes text: its text cells, one below the other.
 */
export function nativeRow(shape: Shape, values: Values): Row {
  const names = Object.keys(values);
  if (isBuildShape(shape)) {
    const nested = (name: string): boolean => parseMessages(textOf(values, name)) !== undefined;
    const found = shapeColumns(shape, names, {}, nested);
    const row = "columns" in found ? shaped(found.columns, values) : undefined;
    if (row) return row;
  }
  return { text: names.map((name) => values[name]).filter((value) => typeof value === "string").join("\n") };
}

function textOf(values: Values, name: string): string {
  return String(values[name] ?? "");
}

/** Undefined when a conversation cannot be read. */
function shaped(columns: ShapeColumns, values: Values): Row | undefined {
  const text = (name: string): string => textOf(values, name);
  const label = typeof values.label === "boolean" ? { label: values.label } : {};
  if (columns.shape === "text") return { text: text(columns.text) };
  if (columns.shape === "prompt/completion") {
    const input = columns.input === undefined ? "" : text(columns.input);
    return { prompt: input === "" ? text(columns.prompt) : `${text(columns.prompt)}\n\n${input}`, completion: text(columns.completion), ...label };
  }
  if (columns.shape === "preference") return { prompt: text(columns.prompt), chosen: text(columns.chosen), rejected: text(columns.rejected) };
  const tools = parseTools(text("tools"));
  if (columns.shape === "chat") {
    const messages = parseMessages(text(columns.messages));
    return messages && { messages, ...label, ...tools };
  }
  const begin = columns.prompt === undefined ? [] : parseMessages(text(columns.prompt));
  const [chosen, rejected] = [parseMessages(text(columns.chosen)), parseMessages(text(columns.rejected))];
  return begin && chosen && rejected && { chosen: [...begin, ...chosen], rejected: [...begin, ...rejected], ...tools };
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** The tools that a conversation is offered, from JSON text; nothing where there are none. */
function parseTools(json: string): { tools?: unknown[] } {
  const tools = toolsSchema.safeParse(parseJson(json));
  return tools.success ? { tools: tools.data } : {};
}

/** Messages as JSON text, in OpenAI's or ShareGPT's dialect; undefined when they are neither. */
export function parseMessages(json: string): Message[] | undefined {
  const value = parseJson(json);
  const own = messagesSchema.safeParse(value);
  if (own.success) return own.data;
  const shared = shareGptSchema.safeParse(value);
  return shared.success ? shared.data.map(({ from, value: content }) => ({ role: SHARE_GPT_ROLES[from] ?? from, content })) : undefined;
}
