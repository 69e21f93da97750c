/** The one table of the files that Tillage reads. */

export type Format = "parquet" | "jsonl" | "json" | "csv" | "text";
export type Compression = "gz" | "zst";

/** How a text file is cut into rows. */
export const textRows = ["file", "line", "paragraph"] as const;
export type TextRows = (typeof textRows)[number];

/** What a text file is cut into where nothing is said. A recipe keeps documents whole; who opens a file wants to see its parts. */
export const defaultTextRows = { recipe: "file", browse: "paragraph" } as const satisfies Record<string, TextRows>;

interface FormatEntry {
  format: Format;
  extensions: readonly string[];
  /** Files of these names are corpora; of the others (`package.json`, `README.md`) only some are. */
  always: boolean;
  /** May be packed: `.gz`, `.zst`. */
  packed: boolean;
}

export const formats: readonly FormatEntry[] = [
  { format: "parquet", extensions: ["parquet"], always: true, packed: false },
  { format: "jsonl", extensions: ["jsonl", "ndjson"], always: true, packed: true },
  { format: "csv", extensions: ["csv", "tsv"], always: true, packed: true },
  { format: "json", extensions: ["json"], always: false, packed: true },
  { format: "text", extensions: ["txt", "md"], always: false, packed: true },
];
export const compressions: readonly Compression[] = ["gz", "zst"];

/** The format that a file's name speaks of; undefined where Tillage reads no such files. */
export function formatOfName(name: string): { format: Format; extension: string; compression?: Compression } | undefined {
  const lower = name.toLowerCase();
  const compression = compressions.find((packed) => lower.endsWith(`.${packed}`));
  const plain = compression === undefined ? lower : lower.slice(0, -compression.length - 1);
  const extension = plain.slice(plain.lastIndexOf(".") + 1);
  const entry = plain.includes(".") ? formats.find((candidate) => candidate.extensions.includes(extension)) : undefined;
  if (!entry || (compression !== undefined && !entry.packed)) return undefined;
  return { format: entry.format, extension, ...(compression === undefined ? {} : { compression }) };
}

function withPacked(entries: readonly FormatEntry[]): string[] {
  const plain = entries.flatMap((entry) => entry.extensions);
  return [...plain, ...entries.filter((entry) => entry.packed).flatMap((entry) => entry.extensions.flatMap((extension) => compressions.map((packed) => `${extension}.${packed}`)))];
}

/** Extensions (without the dot) of files that are corpora by their name. */
export const corpusExtensions: readonly string[] = withPacked(formats.filter((entry) => entry.always));
/** Extensions of all files that can be read as a corpus. */
export const readableExtensions: readonly string[] = withPacked(formats);
/** Last parts of the names of all readable files, as file dialogs filter them. */
export const dialogExtensions: readonly string[] = [...formats.flatMap((entry) => entry.extensions), ...compressions];
/** Extensions of corpora that editors show as text. */
const textual = formats.filter((entry) => entry.always && entry.format !== "parquet").flatMap((entry) => entry.extensions);

/** Globs for the workspace. */
export const corpusGlob = `**/*.{${corpusExtensions.join(",")}}`;
export const readableGlob = `**/*.{${readableExtensions.join(",")}}`;

/** Whether a file is a corpus by its name. */
export function isCorpusName(name: string): boolean {
  const found = formatOfName(name);
  return found !== undefined && corpusExtensions.includes(found.extension);
}

/** Whether a file is a corpus by its name that a text editor shows too. */
export function isTextualCorpus(name: string): boolean {
  const found = formatOfName(name);
  return found !== undefined && found.compression === undefined && textual.includes(found.extension);
}

/** The extensions as a sentence lists them. */
export const formatsSentence = `.parquet, .jsonl (.ndjson), .json, .csv, .tsv, .txt or .md, all but Parquet also with ${compressions.map((packed) => `.${packed}`).join(" or ")}`;
