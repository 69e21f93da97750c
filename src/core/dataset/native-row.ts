import { z } from "zod";
import type { Cell, Shape } from "../../protocol/corpus";
import type { Message, Row } from "../../protocol/native.gen";
import { isBuildShape, shapeColumns, type ColumnHolds, type ShapeColumns } from "./shape";
import { parseJson, parseMessages, partDialogues } from "./turns";

export { parseMessages } from "./turns";

const toolsSchema = z.array(z.unknown());

type Values = Readonly<Record<string, Cell>>;

/**
 * A file's row in the shape that the engine takes: pairs with both answers, judged answers with their `label`, conversations with
 * their `tools`. What has none of the trained shapes becomes text: its text cells, one below the other.
 */
export function nativeRow(shape: Shape, values: Values): Row {
  const names = Object.keys(values);
  if (isBuildShape(shape)) {
    const holds = (name: string): ColumnHolds => (parseMessages(textOf(values, name)) !== undefined ? "turns" : typeof values[name] === "boolean" ? "boolean" : typeof values[name] === "number" ? "number" : "text");
    const found = shapeColumns(shape, names, {}, holds);
    const row = "columns" in found ? shaped(found.columns, values) : undefined;
    if (row) return row;
  }
  return { text: names.map((name) => values[name]).filter((value) => typeof value === "string").join("\n") };
}

function textOf(values: Values, name: string): string {
  return String(values[name] ?? "");
}

/** Undefined when a conversation cannot be read, or a pair of dialogues has no common beginning. */
function shaped(columns: ShapeColumns, values: Values): Row | undefined {
  const text = (name: string): string => textOf(values, name);
  const prompt = (name: string, input: string | undefined): string => (input === undefined || text(input) === "" ? text(name) : `${text(name)}\n\n${text(input)}`);
  const label = typeof values.label === "boolean" ? { label: values.label } : {};
  switch (columns.shape) {
    case "text":
      return { text: text(columns.text) };
    case "prompt/completion":
      return { prompt: prompt(columns.prompt, columns.input), completion: text(columns.completion), ...label };
    case "preference/label": {
      const verdict = verdictOf(values[columns.label] ?? null);
      return { prompt: prompt(columns.prompt, columns.input), completion: text(columns.completion), ...(verdict === undefined ? {} : { label: verdict }) };
    }
    case "verifiable":
      return { prompt: prompt(columns.prompt, columns.input), completion: [columns.answer, columns.tests].flatMap((name) => (name === undefined || values[name] == null ? [] : [text(name)]))[0] ?? "" };
    case "preference":
      if (columns.prompt === undefined) return partDialogues(text(columns.chosen), text(columns.rejected));
      return { prompt: prompt(columns.prompt, columns.input), chosen: text(columns.chosen), rejected: text(columns.rejected) };
    case "chat": {
      const begin = columns.prompt === undefined ? [] : parseMessages(text(columns.prompt));
      const system: Message[] = columns.system === undefined || text(columns.system) === "" ? [] : [{ role: "system", content: text(columns.system) }];
      const messages = parseMessages(text(columns.messages));
      return begin && messages && { messages: [...system, ...begin, ...messages], ...label, ...parseTools(text("tools")) };
    }
    case "preference/chat":
      return conversationPair(columns, text);
  }
}

function conversationPair(columns: Extract<ShapeColumns, { shape: "preference/chat" }>, text: (name: string) => string): Row | undefined {
  const answer = (name: string): Message[] | undefined => (columns.answersAreTexts ? [{ role: "assistant", content: text(name) }] : parseMessages(text(name)));
  const begin = columns.prompt === undefined || columns.promptIsText ? [] : parseMessages(text(columns.prompt));
  const whole = (name: string): Message[] | undefined => {
    const messages = answer(name);
    if (!begin || !messages) return undefined;
    const asked: Message[] = columns.promptIsText && columns.prompt !== undefined && messages[0]?.role === "assistant" ? [{ role: "user", content: text(columns.prompt) }] : [];
    return [...asked, ...begin, ...messages];
  };
  const [chosen, rejected] = [whole(columns.chosen), whole(columns.rejected)];
  return chosen && rejected && { chosen, rejected, ...parseTools(text("tools")) };
}

function verdictOf(value: Cell): boolean | undefined {
  return { true: true, "1": true, false: false, "0": false }[String(value).trim().toLowerCase()];
}

/** The tools that a conversation is offered, from JSON text; nothing where there are none. */
function parseTools(json: string): { tools?: unknown[] } {
  const tools = toolsSchema.safeParse(parseJson(json));
  return tools.success ? { tools: tools.data } : {};
}
