import { detectShape, isBuildShape, shapeColumns, type BuildShape, type ShapeColumns } from "../../core/dataset";
import { nearest } from "../../core/recipe";
import { TillageError } from "../../protocol/errors";
import type { RawTable } from "./read";

/** Parquet and CSV columns that hold texts; JSON's are checked row by row. */
const textTypes = new Set(["VARCHAR", "JSON"]);

/**
 * The shape of a file's rows as the recipe says or as its columns speak; a missing column is an error with the nearest that there is,
 * at the place where the recipe names the file.
 */
export function resolveShape(file: string, raw: RawTable, declared: BuildShape | undefined, map: Readonly<Record<string, string>>, place: { file: string; line?: number } = { file }): ShapeColumns {
  const names = raw.columns.map((column) => column.name);
  const asked = declared ?? (map.chosen !== undefined || map.rejected !== undefined ? "preference" : map.prompt !== undefined || map.completion !== undefined ? "prompt/completion" : map.messages !== undefined ? "chat" : map.text !== undefined ? "text" : detectShape(names));
  if (!isBuildShape(asked)) {
    throw TillageError.user("unknown_shape", `The shape of ${file} is not clear from its columns: ${names.join(", ")}.`, "Say in the source what it is, such as 'as: text' with 'map: { text: body }'.", place);
  }
  const typeOf = (name: string) => raw.columns.find((column) => column.name === name)?.type ?? "";
  const resolved = shapeColumns(asked, names, map, (name) => /JSON|STRUCT|\[/u.test(typeOf(name)));
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
  const texts = textColumns(columns);
  for (const name of raw.json ? [] : texts) {
    const type = typeOf(name);
    if (!textTypes.has(type) && !file.toLowerCase().match(/\.[ct]sv$/)) {
      throw TillageError.user("wrong_type", `The column '${name}' of ${file} is ${type}, not text.`, "Map another column, or convert it.", place);
    }
  }
  return columns;
}

/** The file's columns that hold texts, not lists of turns. */
export function textColumns(columns: ShapeColumns): string[] {
  switch (columns.shape) {
    case "text":
      return [columns.text];
    case "prompt/completion":
      return [columns.prompt, columns.completion, ...(columns.input === undefined ? [] : [columns.input])];
    case "preference":
      return [columns.prompt, columns.chosen, columns.rejected];
    case "chat":
    case "preference/chat":
      return [];
  }
}
