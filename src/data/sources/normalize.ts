import { messagesText, wholeText, type OwnColumn, type ShapeColumns } from "../../core/dataset";
import { ident, literal } from "../duckdb/sql";
import type { RawTable } from "./read";

/** A shape's columns as SQL over a raw table, and why a row is bad (NULL when it is not). */
export interface NormalSql {
  /** The whole text of a row, whatever its shape. */
  text: string;
  /** The shape's columns; those that are not there are NULL. */
  own: Partial<Record<OwnColumn, string>>;
  fault: string;
  /** The file's columns that are the shape's, each with the name that it is kept under. */
  used: Map<string, string>;
}

/** Two lists of turns as one, in JSON; keys beyond role and content stay. */
function joined(first: string, second: string): string {
  return `to_json(list_concat(from_json(${first}, '["JSON"]'), from_json(${second}, '["JSON"]')))`;
}

/** ShareGPT's turns as the `messages` that chat templates know. */
function fromConversations(column: string): string {
  const role = "CASE m.\"from\" WHEN 'human' THEN 'user' WHEN 'gpt' THEN 'assistant' ELSE m.\"from\" END";
  return `to_json(list_transform(from_json(${column}, '[{"from":"VARCHAR","value":"VARCHAR"}]'), lambda m: {'role': ${role}, 'content': m."value"}))`;
}

/** A column's text; from the JSON itself where a file's rows disagree about the column's type. */
function textOf(raw: RawTable, column: string): string {
  return raw.json ? `json_extract_string(_json, ${jsonPath(column)})` : `${ident(column)}::VARCHAR`;
}

function jsonPath(column: string): string {
  return literal(`$."${column.replaceAll('"', '\\"')}"`);
}

function isText(raw: RawTable, column: string): string {
  if (!raw.json) return `CASE WHEN ${ident(column)} IS NULL THEN ${literal(`'${column}' is missing`)} END`;
  const path = jsonPath(column);
  const found = `lower(json_type(_json, ${path}))`;
  return `CASE WHEN json_type(_json, ${path}) IS NULL OR json_type(_json, ${path}) = 'NULL' THEN ${literal(`'${column}' is missing`)} WHEN json_type(_json, ${path}) <> 'VARCHAR' THEN ${literal(`'${column}' is not a text but `)} || ${found} END`;
}

function isConversation(column: string, fields: [string, string]): string {
  const json = ident(column);
  const shape = `'[{${fields.map((field) => `"${field}":"VARCHAR"`).join(",")},"tool_calls":"JSON"}]'`;
  // A turn that calls tools may say nothing beside.
  const bad = fields.map((field) => (field === "content" ? `(m."content" IS NULL AND (m.tool_calls IS NULL OR json_type(m.tool_calls) = 'NULL'))` : `m.${ident(field)} IS NULL`)).join(" OR ");
  return [
    `CASE WHEN ${json} IS NULL OR json_type(${json}) = 'NULL' THEN ${literal(`'${column}' is missing`)}`,
    `WHEN json_type(${json}) <> 'ARRAY' OR json_array_length(${json}) = 0 THEN ${literal(`'${column}' is not a list of turns`)}`,
    `WHEN list_bool_or(list_transform(from_json(${json}, ${shape}), lambda m: ${bad})) THEN ${literal(`a turn of '${column}' lacks ${fields.join(" or ")}`)} END`,
  ].join(" ");
}

/** How a file's rows become rows of a shape. */
export function normalSql(raw: RawTable, columns: ShapeColumns): NormalSql {
  if (columns.shape === "text") {
    return { text: textOf(raw, columns.text), own: {}, fault: isText(raw, columns.text), used: new Map([[columns.text, "text"]]) };
  }
  if (columns.shape === "chat") {
    const json = ident(columns.messages);
    const messages = columns.dialect === "messages" ? `${json}::VARCHAR` : `${fromConversations(json)}::VARCHAR`;
    const fault = isConversation(columns.messages, columns.dialect === "messages" ? ["role", "content"] : ["from", "value"]);
    return { text: messagesText(messages), own: { messages }, fault, used: new Map([[columns.messages, "messages"]]) };
  }
  if (columns.shape === "preference/chat") return conversations(columns);
  if (columns.shape === "preference") {
    const own = { prompt: textOf(raw, columns.prompt), chosen: textOf(raw, columns.chosen), rejected: textOf(raw, columns.rejected) };
    const faults = [columns.prompt, columns.chosen, columns.rejected].map((column) => isText(raw, column));
    const used = new Map([[columns.prompt, "prompt"], [columns.chosen, "chosen"], [columns.rejected, "rejected"]]);
    return { text: wholeText("preference", (name) => own[name as keyof typeof own]), own, fault: `coalesce(${faults.join(", ")})`, used };
  }
  const base = textOf(raw, columns.prompt);
  const input = columns.input === undefined ? undefined : textOf(raw, columns.input);
  // Alpaca's input, where there is one, follows the instruction after an empty line, as in its own template.
  const prompt = input === undefined ? base : `${base} || CASE WHEN coalesce(${input}, '') = '' THEN '' ELSE chr(10) || chr(10) || ${input} END`;
  const completion = textOf(raw, columns.completion);
  const used = new Map([[columns.prompt, "prompt"], [columns.completion, "completion"]]);
  if (columns.input !== undefined) used.set(columns.input, "");
  return { text: `${prompt} || chr(10) || ${completion}`, own: { prompt, completion }, fault: `coalesce(${isText(raw, columns.prompt)}, ${isText(raw, columns.completion)})`, used };
}

/** Pairs of conversations; a beginning that stands apart is put in front of both. */
function conversations({ prompt, chosen, rejected }: Extract<ShapeColumns, { shape: "preference/chat" }>): NormalSql {
  const whole = (column: string) => (prompt === undefined ? `${ident(column)}::VARCHAR` : `${joined(ident(prompt), ident(column))}::VARCHAR`);
  const own = { chosen: whole(chosen), rejected: whole(rejected) };
  const used = new Map([[chosen, "chosen"], [rejected, "rejected"], ...(prompt === undefined ? [] : [[prompt, ""] as const])]);
  const faults = [...(prompt === undefined ? [] : [prompt]), chosen, rejected].map((column) => isConversation(column, ["role", "content"]));
  return { text: wholeText("preference/chat", (name) => own[name as keyof typeof own]), own, fault: `coalesce(${faults.join(", ")})`, used };
}
