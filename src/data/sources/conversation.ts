/** Conversations as SQL: OpenAI's messages and ShareGPT's turns become the `messages` that chat templates know, or a reason why not. */
import { shareGptCalls, shareGptRoles } from "../../core/dataset/roles";
import { ident, inList, literal } from "../duckdb/sql";

/** Two lists of turns as one, in JSON; keys beyond role and content stay. */
export function joinedTurns(first: string, second: string): string {
  return `to_json(list_concat(from_json(${first}, '["JSON"]'), from_json(${second}, '["JSON"]')))::VARCHAR`;
}

/** One turn that says a text, as a conversation in JSON. */
export function oneTurn(role: string, text: string): string {
  return `to_json([{'role': ${literal(role)}, 'content': ${text}}])::VARCHAR`;
}

/** An expression whose value is used several times, under a name. */
export function bound(name: string, value: string, body: string): string {
  return `list_transform([${value}], lambda ${name}: ${body})[1]`;
}

/** A column's JSON; a text that holds JSON is read, and NULL where it is none. */
function jsonOf(column: string): string {
  return bound("j", `try_cast(${ident(column)}::VARCHAR AS JSON)`, "CASE json_type(j) WHEN 'VARCHAR' THEN try_cast(json_extract_string(j, '$') AS JSON) ELSE j END");
}

const list = (json: string) => `from_json(${json}, '["JSON"]')`;
const type = (key: string) => `json_type(m, '$.${key}')`;
const said = (key: string) => `coalesce(${type(key)}, 'NULL') <> 'NULL'`;
const text = (key: string) => `json_extract_string(m, '$.${key}')`;
const isShareGpt = `(NOT ${said("role")} AND ${said("from")})`;
/** The JSON of a tool call that stands in a turn's text. */
const call = `try_cast(${text("value")} AS JSON)`;
const isCall = `${text("from")} IN ${inList(shareGptCalls)}`;

/** Parts of a content, their texts one after the other as chat templates write them. */
const parts = `array_to_string(list_transform(${list("json_extract(m, '$.content')")}, lambda p: CASE json_type(p) WHEN 'VARCHAR' THEN json_extract_string(p, '$') ELSE json_extract_string(p, '$.text') END), '')`;

const role = `CASE ${text("from")} ${Object.entries(shareGptRoles).map(([from, to]) => `WHEN ${literal(from)} THEN ${literal(to)}`).join(" ")} END`;

const turn = [
  `CASE WHEN ${isShareGpt} AND ${isCall} THEN json_object('role', 'assistant', 'content', NULL, 'tool_calls', [json_object('type', 'function', 'function', ${call})])`,
  `WHEN ${isShareGpt} THEN json_object('role', ${role}, 'content', ${text("value")})`,
  `WHEN ${type("content")} = 'ARRAY' THEN json_merge_patch(m, json_object('content', ${parts})) ELSE m END`,
].join(" ");

/** A column's conversation as `messages` in JSON; what is in that form already stays as it is, to the byte. */
export function messagesOf(column: string): string {
  const other = `list_bool_or(list_transform(${list("d")}, lambda m: ${isShareGpt} OR ${type("content")} = 'ARRAY'))`;
  return bound("d", jsonOf(column), `CASE WHEN ${other} THEN to_json(list_transform(${list("d")}, lambda m: ${turn}))::VARCHAR ELSE d::VARCHAR END`);
}

/** Why a turn cannot be read; NULL when it can. */
function turnFault(column: string): string {
  const of = (what: string) => literal(`a turn of '${column}' ${what}`);
  const otherPart = `list_filter(${list("json_extract(m, '$.content')")}, lambda p: json_type(p) <> 'VARCHAR' AND coalesce(json_type(p, '$.text'), '') <> 'VARCHAR')`;
  return [
    `CASE WHEN json_type(m) <> 'OBJECT' THEN ${of("is not an object with role and content")}`,
    `WHEN ${said("from")} AND NOT ${said("role")} AND ${type("value")} IS DISTINCT FROM 'VARCHAR' OR ${said("value")} AND NOT ${said("from")} AND NOT ${said("role")} THEN ${of("lacks from or value")}`,
    `WHEN ${isShareGpt} AND ${isCall} AND coalesce(json_type(${call}, '$.name'), '') <> 'VARCHAR' THEN ${of("is a function_call, but no JSON with a name")}`,
    `WHEN ${isShareGpt} AND NOT ${isCall} AND ${role} IS NULL THEN ${literal(`a turn of '${column}' is from '`)} || ${text("from")} || ${literal(`'; known are ${[...Object.keys(shareGptRoles), ...shareGptCalls].join(", ")}`)}`,
    `WHEN ${isShareGpt} THEN NULL`,
    // A turn that calls tools may say nothing beside.
    `WHEN ${type("role")} IS DISTINCT FROM 'VARCHAR' OR NOT ${said("content")} AND NOT ${said("tool_calls")} THEN ${of("lacks role or content")}`,
    `WHEN ${type("content")} = 'ARRAY' AND len(${otherPart}) > 0 THEN ${literal(`a turn of '${column}' has a part that is no text: `)} || coalesce(json_extract_string(${otherPart}[1], '$.type'), 'unknown')`,
    `WHEN ${said("content")} AND ${type("content")} NOT IN ('VARCHAR', 'ARRAY') THEN ${of("has a content that is no text")} END`,
  ].join(" ");
}

/** Why a column is no conversation; NULL when it is one. */
export function conversationFault(column: string): string {
  const fault = [
    `CASE WHEN ${ident(column)} IS NULL OR json_type(d) = 'NULL' THEN ${literal(`'${column}' is missing`)}`,
    `WHEN json_type(d) IS DISTINCT FROM 'ARRAY' OR json_array_length(d) = 0 THEN ${literal(`'${column}' is not a list of turns`)}`,
    `ELSE list_filter(list_transform(${list("d")}, lambda m: ${turnFault(column)}), lambda f: f IS NOT NULL)[1] END`,
  ].join(" ");
  return bound("d", jsonOf(column), fault);
}
