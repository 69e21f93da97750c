import { detect, familyOf, isBuildShape, knownColumns, rolesOf, shapeColumns, type BuildShape, type ColumnHolds, type Detected, type Holds, type ShapeColumns } from "../../core/dataset";
import { nearest } from "../../core/recipe";
import type { ShapeGuess, SourceReading } from "../../protocol/corpus";
import { TillageError, type Problem } from "../../protocol/errors";
import type { Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import { parquetFault, type RawTable } from "./read";

/** Parquet and CSV columns that hold texts; JSON's are checked row by row. */
const textTypes = new Set(["VARCHAR", "JSON"]);
const numeric = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/;

/** Rows that tell what a column holds. */
const sampleRows = 200;

/** What the columns hold, by their types and the first rows of those that may have a role (and of those named). */
export async function columnHolds(session: Session, raw: Pick<RawTable, "table" | "columns">, named: readonly string[] = []): Promise<Holds> {
  const open = raw.columns.filter(({ name, type }) => textTypes.has(type) && (knownColumns.includes(name) || named.includes(name)));
  const turns = new Set<string>();
  if (open.length > 0) {
    const looks = open.map(({ name }, i) => `coalesce(bool_or(regexp_matches(left(${ident(name)}::VARCHAR, 400), '^\\s*\\[\\s*\\{\\s*"')), false) AS c${i}`);
    const found = await session.one<Record<string, boolean>>(`SELECT ${looks.join(", ")} FROM (SELECT ${open.map(({ name }) => ident(name)).join(", ")} FROM ${ident(raw.table)} LIMIT ${sampleRows})`);
    open.forEach(({ name }, i) => found[`c${i}`] && turns.add(name));
  }
  const types = new Map(raw.columns.map(({ name, type }): [string, ColumnHolds] => [name, turns.has(name) ? "turns" : type === "VARCHAR" ? "text" : type === "BOOLEAN" ? "boolean" : numeric.test(type) ? "number" : "other"]));
  return (name) => types.get(name) ?? "other";
}

/** What a file's rows speak of. */
export async function detectRaw(session: Session, raw: Pick<RawTable, "table" | "columns">): Promise<Detected> {
  return detect(raw.columns.map((column) => column.name), await columnHolds(session, raw));
}

/** A shape that the columns do not tell; what they might be goes with it. */
export class UnknownShape extends TillageError {
  constructor(problem: Problem, readonly guesses: readonly ShapeGuess[]) {
    super(problem);
  }
}

export interface ResolvedShape {
  columns: ShapeColumns;
  /** What was taken for what, and by whose word. */
  reading: SourceReading;
}

/** The shape that a source's map speaks of. */
function mappedShape(map: Readonly<Record<string, string>>): BuildShape | undefined {
  const has = (...roles: string[]) => roles.some((role) => map[role] !== undefined);
  if (has("chosen", "rejected", "label")) return "preference";
  if (has("answer", "tests")) return "verifiable";
  if (has("messages")) return "chat";
  if (has("prompt", "completion")) return "prompt/completion";
  return has("text") ? "text" : undefined;
}

/**
 * The shape of a file's rows as the recipe says or as its columns speak; a missing column is an error with the nearest that there is,
 * at the place where the recipe names the file.
 */
export async function resolveShape(session: Session, file: string, raw: RawTable, declared: BuildShape | undefined, map: Readonly<Record<string, string>>, place: { file: string; line?: number } = { file }): Promise<ResolvedShape> {
  const names = raw.columns.map((column) => column.name);
  const holds = await columnHolds(session, raw, Object.values(map)).catch((error: unknown) => {
    throw parquetFault(error, file);
  });
  const detected = detect(names, holds);
  const asked = declared ?? mappedShape(map) ?? detected.shape;
  if (!isBuildShape(asked)) {
    const [guess] = detected.alternatives;
    const example = guess ? `as: ${guess.shape}, map: { ${Object.entries(guess.columns).map(([role, column]) => `${role}: ${column}`).join(", ")} }` : "as: text' with 'map: { text: body }";
    throw new UnknownShape({ blame: "user", code: "unknown_shape", message: `The shape of ${file} is not clear from its columns: ${names.join(", ")}.`, remedy: `Say in the source what it is, such as '${example}'.`, ...place }, detected.alternatives);
  }
  const resolved = shapeColumns(asked, names, map, holds);
  if ("missing" in resolved) {
    const near = nearest(resolved.missing, names);
    throw TillageError.user(
      "missing_column",
      `${file} has no column '${resolved.missing}', which the shape ${asked} needs.${near ? ` Did you mean '${near}'?` : ""} Its columns are ${names.join(", ")}.`,
      "Name the column in the source's 'map', such as 'map: { prompt: question }'.",
      place,
    );
  }
  const columns = resolved.columns;
  const typeOf = (name: string) => raw.columns.find((column) => column.name === name)?.type ?? "";
  for (const name of raw.json || raw.typed === false ? [] : textColumns(columns)) {
    const type = typeOf(name);
    if (!textTypes.has(type)) throw TillageError.user("wrong_type", `The column '${name}' of ${file} is ${type}, not text.`, "Map another column, or convert it.", place);
  }
  const { own: _own, ...detection } = detected;
  // As a person says it: a preference is one, whatever it is made of.
  const said = declared === undefined && mappedShape(map) === undefined;
  const reading: SourceReading = said ? { ...detection, by: "columns" } : { ...detection, shape: familyOf(columns.shape), columns: rolesOf(columns), confidence: "sure", reason: "the recipe says so", alternatives: [], by: "recipe" };
  return { columns, reading };
}

/** The file's columns that hold texts, not lists of turns, verdicts or answers of any type. */
export function textColumns(columns: ShapeColumns): string[] {
  const { messages, label, answer, tests, ...texts } = rolesOf(columns);
  void [messages, label, answer, tests];
  if (columns.shape === "chat") return [];
  if (columns.shape !== "preference/chat") return Object.values(texts);
  return [...(columns.promptIsText && columns.prompt !== undefined ? [columns.prompt] : []), ...(columns.answersAreTexts ? [columns.chosen, columns.rejected] : [])];
}
