import { readFileSync } from "node:fs";
import { TillageError } from "../protocol/errors";

/** Reads a text file; a missing one and invalid UTF-8 are the user's errors that name the file, and the line of the first byte that is none. */
export function readText(file: string, what: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") throw TillageError.user("file_not_found", `The ${what} ${file} does not exist.`, "Check the path in the file that names it.", { file });
    if (code === "EISDIR") throw TillageError.user("not_a_file", `The ${what} ${file} is a folder.`, "Name a file in it.", { file });
    throw TillageError.environment("unreadable", `The ${what} ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}.`, "Check the file's permissions.", { file });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw TillageError.user("invalid_utf8", `The ${what} ${file} is not valid UTF-8.`, "Save it as UTF-8.", { file, line: invalidLine(bytes) });
  }
}

/** The 1-based line on which the bytes cease to be UTF-8. */
function invalidLine(bytes: Buffer): number {
  let [line, from] = [1, 0];
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(from, end));
    } catch {
      return line;
    }
    [line, from] = [line + 1, end + 1];
  }
  return line;
}
