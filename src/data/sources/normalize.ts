import { wholeText, type BuildShape, type OwnColumn, type ShapeColumns } from "../../core/dataset";
import { answerMark } from "../../core/dataset/roles";
import { ident, literal } from "../duckdb/sql";
import { bound, conversationFault, joinedTurns, messagesOf, oneTurn } from "./conversation";
import type { RawTable } from "./read";

/** A shape's columns as SQL over a raw table, and why a row is bad (NULL when it is not). */
export interface NormalSql {
  /** The whole text of a row, whatever its shape. */
  text: string;
  /** The shape's columns; those that are not there are NULL. */
  own: Partial<Record<OwnColumn, string>>;
  /** Columns beside the shape's texts that training reads, such as `label`. */
  extra?: Record<string, string>;
  fault: string;
  /** The file's columns that are the shape's, each with the name that it is kept under. */
  used: Map<string, string>;
}

/** A column's text; from the JSON itself where a file's rows disagree about the column's type. */
function textOf(raw: RawTable, column: string): string {
  return raw.json ? `json_extract_string(_tillage_json, ${jsonPath(column)})` : `${ident(column)}::VARCHAR`;
}

/** A column's name as a path into a row's JSON. */
export function jsonPath(column: string): string {
  return literal(`$."${column.replaceAll('"', '\\"')}"`);
}

function isMissing(raw: RawTable, column: string): string {
  const absent = raw.json ? `coalesce(json_type(_tillage_json, ${jsonPath(column)}), 'NULL') = 'NULL'` : `${ident(column)} IS NULL`;
  return `WHEN ${absent} THEN ${literal(`'${column}' is missing`)}`;
}

function isText(raw: RawTable, column: string): string {
  if (!raw.json) return `CASE ${isMissing(raw, column)} END`;
  const type = `json_type(_tillage_json, ${jsonPath(column)})`;
  return `CASE ${isMissing(raw, column)} WHEN ${type} <> 'VARCHAR' THEN ${literal(`'${column}' is not a text but `)} || lower(${type}) END`;
}

const firstOf = (faults: readonly string[]) => (faults.length === 1 ? (faults[0] ?? "NULL") : `coalesce(${faults.join(", ")})`);

/** How a file's rows become rows of a shape. */
export function normalSql(raw: RawTable, columns: ShapeColumns): NormalSql {
  switch (columns.shape) {
    case "text":
      return { text: textOf(raw, columns.text), own: {}, fault: isText(raw, columns.text), used: new Map([[columns.text, "text"]]) };
    case "chat":
      return chat(columns);
    case "preference/chat":
      return conversationPair(raw, columns);
    case "preference":
      return columns.prompt === undefined ? dialoguePair(raw, columns.chosen, columns.rejected) : prompted(raw, columns, columns.prompt, { chosen: columns.chosen, rejected: columns.rejected });
    case "prompt/completion":
      return prompted(raw, columns, columns.prompt, { completion: columns.completion });
    case "preference/label":
      return judged(raw, columns);
    case "verifiable":
      return verifiable(raw, columns);
  }
}

/** Alpaca's input, where there is one, follows the instruction after an empty line, as in its own template. */
function promptOf(raw: RawTable, prompt: string, input: string | undefined): string {
  const extra = input === undefined ? undefined : textOf(raw, input);
  return extra === undefined ? textOf(raw, prompt) : `${textOf(raw, prompt)} || CASE WHEN coalesce(${extra}, '') = '' THEN '' ELSE chr(10) || chr(10) || ${extra} END`;
}

/** A prompt and what is said to it. */
function prompted(raw: RawTable, { shape, input }: { shape: BuildShape; input?: string }, prompt: string, answers: Partial<Record<OwnColumn, string>>): NormalSql {
  const own: NormalSql["own"] = { prompt: promptOf(raw, prompt, input) };
  const used = new Map([[prompt, "prompt"]]);
  const faults = [isText(raw, prompt)];
  for (const [name, column] of Object.entries(answers)) {
    own[name as OwnColumn] = textOf(raw, column);
    used.set(column, name);
    faults.push(isText(raw, column));
  }
  if (input !== undefined) used.set(input, "");
  return { text: wholeText(shape, (name) => own[name] ?? "NULL"), own, fault: firstOf(faults), used };
}

/** An answer with a verdict, which becomes a boolean as KTO reads it. */
function judged(raw: RawTable, columns: Extract<ShapeColumns, { shape: "preference/label" }>): NormalSql {
  const sql = prompted(raw, columns, columns.prompt, { completion: columns.completion });
  const label = `CASE lower(trim(${textOf(raw, columns.label)})) WHEN 'true' THEN true WHEN 'false' THEN false WHEN '1' THEN true WHEN '0' THEN false WHEN '1.0' THEN true WHEN '0.0' THEN false END`;
  const fault = `CASE ${isMissing(raw, columns.label)} WHEN (${label}) IS NULL THEN ${literal(`'${columns.label}' is neither true nor false`)} END`;
  return { ...sql, extra: { label }, fault: firstOf([sql.fault, fault]), used: sql.used.set(columns.label, "label") };
}

/** A prompt with what its answers are judged by: the answer that is wanted, else the tests that it has to pass. */
function verifiable(raw: RawTable, { shape, prompt, input, answer, tests }: Extract<ShapeColumns, { shape: "verifiable" }>): NormalSql {
  const wanted = [answer, tests].filter((column) => column !== undefined);
  const completion = wanted.length === 1 ? textOf(raw, wanted[0] ?? "") : `coalesce(${wanted.map((column) => textOf(raw, column)).join(", ")})`;
  const own = { prompt: promptOf(raw, prompt, input), completion };
  const used = new Map([[prompt, "prompt"], [wanted[0] ?? "", "completion"], ...(input === undefined ? [] : [[input, ""] as const])]);
  const fault = `CASE WHEN (${completion}) IS NULL THEN ${literal(`${wanted.map((column) => `'${column}'`).join(" and ")} ${wanted.length > 1 ? "are" : "is"} missing`)} END`;
  return { text: wholeText(shape, (name) => own[name as keyof typeof own]), own, fault: firstOf([isText(raw, prompt), fault]), used };
}

function chat({ shape, prompt, messages: column, system }: Extract<ShapeColumns, { shape: "chat" }>): NormalSql {
  const used = new Map([[column, "messages"]]);
  const faults = [conversationFault(column)];
  let messages = messagesOf(column);
  if (prompt !== undefined) {
    used.set(prompt, "");
    faults.unshift(conversationFault(prompt));
    messages = joinedTurns(messagesOf(prompt), messages);
  }
  if (system !== undefined) {
    used.set(system, "");
    const said = `${ident(system)}::VARCHAR`;
    messages = bound("t", messages, `CASE WHEN coalesce(${said}, '') = '' THEN t ELSE ${joinedTurns(oneTurn("system", said), "t")} END`);
  }
  return { text: wholeText(shape, () => `(${messages})`), own: { messages }, fault: firstOf(faults), used };
}

/** Pairs of conversations; a beginning that stands apart is put in front of both. */
function conversationPair(raw: RawTable, columns: Extract<ShapeColumns, { shape: "preference/chat" }>): NormalSql {
  const { shape, prompt, promptIsText, answersAreTexts, chosen, rejected } = columns;
  const answer = (column: string) => (answersAreTexts ? oneTurn("assistant", textOf(raw, column)) : messagesOf(column));
  const whole = (column: string) => {
    if (prompt === undefined) return answer(column);
    if (!promptIsText) return joinedTurns(messagesOf(prompt), answer(column));
    // A prompt in words stands in front of answers alone; conversations that begin with it have it already.
    const asked = textOf(raw, prompt);
    return bound("a", answer(column), `CASE WHEN json_extract_string(a, '$[0].role') = 'assistant' AND ${asked} IS NOT NULL THEN ${joinedTurns(oneTurn("user", asked), "a")} ELSE a END`);
  };
  const own = { chosen: whole(chosen), rejected: whole(rejected) };
  const used = new Map([[chosen, "chosen"], [rejected, "rejected"], ...(prompt === undefined ? [] : [[prompt, ""] as const])]);
  const answers = [chosen, rejected].map((column) => (answersAreTexts ? isText(raw, column) : conversationFault(column)));
  const faults = [...(prompt === undefined || promptIsText ? [] : [conversationFault(prompt)]), ...answers];
  return { text: wholeText(shape, (name) => `(${own[name as keyof typeof own]})`), own, fault: firstOf(faults), used };
}

/** Pairs of dialogues in one text each; what both begin with, up to an answer, is the prompt. */
function dialoguePair(raw: RawTable, chosenColumn: string, rejectedColumn: string): NormalSql {
  const [whole, other] = [textOf(raw, chosenColumn), textOf(raw, rejectedColumn)];
  const mark = `(${sqlText(answerMark)})`;
  const differs = `list_position(list_transform(list_zip(a, b), lambda z: z[1] IS DISTINCT FROM z[2]), true)`;
  const begin = bound("k", `least(coalesce(${differs}, len(a) + 1) - 1, len(a) - 1, len(b) - 1)`, `CASE WHEN k > 0 THEN array_to_string(a[1:k], ${mark}) || ${mark} END`);
  const prompt = bound("a", `string_split(${whole}, ${mark})`, bound("b", `string_split(${other}, ${mark})`, begin));
  const rest = (text: string) => `substr(${text}, coalesce(length(${prompt}), 0) + 1)`;
  const own = { prompt, chosen: rest(whole), rejected: rest(other) };
  const fault = `CASE WHEN (${prompt}) IS NULL THEN ${literal(`there is no 'prompt', and '${chosenColumn}' and '${rejectedColumn}' are no dialogues (Human: ... Assistant: ...) that begin alike`)} END`;
  const used = new Map([[chosenColumn, "chosen"], [rejectedColumn, "rejected"]]);
  return { text: `coalesce(${prompt} || chr(10), '') || ${own.chosen} || chr(10) || ${own.rejected}`, own, fault: firstOf([isText(raw, chosenColumn), isText(raw, rejectedColumn), fault]), used };
}

/** A text with line breaks as SQL. */
function sqlText(text: string): string {
  return text.split("\n").map(literal).join(" || chr(10) || ");
}
