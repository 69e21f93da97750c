/** A folder as a source: a Hugging Face dataset's files by its README or by the hub's naming, or all files of one format. */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import { formatOfName } from "../../core/dataset/formats";
import { nearest } from "../../core/recipe";
import { TillageError } from "../../protocol/errors";

/** Files of a folder that are looked at. */
const mostFiles = 100_000;
/** The hub's words for its splits; the first is the split's name. */
const splitWords: readonly (readonly [string, ...string[]])[] = [["train", "training"], ["validation", "valid", "dev", "val"], ["test", "testing", "eval", "evaluation"]];
/** Files that stand beside data on the hub and are none. */
const beside = /^(README|LICENSE|LICENCE|CHANGELOG|CONTRIBUTING|dataset_infos?|dataset_dict|state|config|metadata|croissant)\b/iu;

export interface FolderChoice {
  split?: string;
  config?: string;
}

interface Place {
  file: string;
  line?: number;
}

const patterns = z.union([z.string().transform((one) => [one]), z.array(z.string())]);
const splitFiles = z.array(z.looseObject({ split: z.string(), path: patterns }));
const configSchema = z.looseObject({
  config_name: z.string().default("default"),
  default: z.boolean().optional(),
  data_dir: z.string().optional(),
  data_files: z.union([patterns.transform((path) => [{ split: "train", path }]), splitFiles, z.record(z.string(), patterns).transform((map) => Object.entries(map).map(([split, path]) => ({ split, path })))]).optional(),
});
const frontMatter = z.looseObject({ configs: z.array(configSchema).optional() });

/** The readable files of a folder, relative and sorted; hidden ones and links that lead in a circle are left out. */
export function filesBelow(folder: string): string[] {
  const found: string[] = [];
  const walk = (relative: string, above: readonly string[]): void => {
    const real = realpathSync(path.join(folder, relative));
    if (above.includes(real)) return;
    for (const entry of readdirSync(path.join(folder, relative), { withFileTypes: true })) {
      if (entry.name.startsWith(".") || entry.name.startsWith("__")) continue;
      const name = relative === "" ? entry.name : `${relative}/${entry.name}`;
      const whole = path.join(folder, name);
      if (entry.isDirectory() || (entry.isSymbolicLink() && existsSync(whole) && statSync(whole).isDirectory())) walk(name, [...above, real]);
      else if (formatOfName(entry.name) && !beside.test(entry.name) && (entry.isFile() || existsSync(whole))) found.push(name);
      if (found.length > mostFiles) throw TillageError.user("too_many_files", `${folder} holds more than ${mostFiles} files.`, "Name those that are meant, with a glob.", { file: folder });
    }
  };
  walk("", []);
  return found.sort((a, b) => (a < b ? -1 : 1));
}

/** The data files of a folder, absolute. */
export function folderFiles(folder: string, choice: FolderChoice, place: Place): string[] {
  refuseSaved(folder, place);
  const all = filesBelow(folder);
  const configs = readConfigs(folder);
  const bySplit = configs ? declared(folder, all, configs, choice, place) : conventional(all, choice);
  const chosen = bySplit ? pickSplit(folder, bySplit, choice, place) : plain(folder, all, choice, place);
  return oneFormat(folder, chosen, place).map((name) => path.join(folder, name));
}

/** A folder that `save_to_disk` wrote holds Arrow files, which are told apart from a dataset's. */
function refuseSaved(folder: string, place: Place): void {
  const has = (name: string) => existsSync(path.join(folder, name));
  const nested = ["train", "test", "validation"].some((split) => has(`${split}/state.json`));
  if (!(has("dataset_dict.json") || nested || (has("state.json") && has("dataset_info.json")))) return;
  throw TillageError.user("saved_to_disk", `${folder} was written by datasets.save_to_disk: it holds Arrow files, which Tillage does not read.`, `Write Parquet in Python: from datasets import load_from_disk; load_from_disk(FOLDER)${has("dataset_dict.json") || nested ? "['train']" : ""}.to_parquet('train.parquet').`, place);
}

/** `configs` of the README's front matter. */
function readConfigs(folder: string): z.infer<typeof configSchema>[] | undefined {
  const file = path.join(folder, "README.md");
  if (!existsSync(file)) return undefined;
  const yaml = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---\s*(\r?\n|$)/.exec(readFileSync(file, "utf8"))?.[1];
  if (yaml === undefined) return undefined;
  const document = parseDocument(yaml);
  const checked = frontMatter.safeParse(document.errors.length > 0 ? undefined : document.toJS());
  if (checked.success) return checked.data.configs?.length ? checked.data.configs : undefined;
  const reason = document.errors[0]?.message.split("\n")[0] ?? checked.error.issues[0]?.message ?? "";
  throw TillageError.user("broken_readme", `The front matter of ${file} is not as a dataset's should be: ${reason}`, "Mend its 'configs', or name the files themselves.", { file, line: 1 });
}

type BySplit = Map<string, string[]>;

function declared(folder: string, all: readonly string[], configs: readonly z.infer<typeof configSchema>[], choice: FolderChoice, place: Place): BySplit | undefined {
  const names = configs.map((config) => config.config_name);
  const asked = choice.config ?? configs.find((config) => config.default)?.config_name ?? (names.includes("default") || names.length > 1 ? "default" : names[0]);
  const config = configs.find((candidate) => candidate.config_name === asked);
  if (!config) {
    const near = choice.config === undefined ? undefined : nearest(choice.config, names);
    throw TillageError.user("unknown_config", choice.config === undefined ? `${folder} has several configurations: ${names.join(", ")}.` : `${folder} has no configuration '${choice.config}'.${near ? ` Did you mean '${near}'?` : ` There are ${names.join(", ")}.`}`, `Say which one in the source: 'config: ${near ?? names[0] ?? ""}'.`, place);
  }
  const base = config.data_dir === undefined ? "" : `${config.data_dir.replace(/^\.?\/+|\/+$/g, "")}/`;
  if (!config.data_files) return conventional(all.filter((name) => name.startsWith(base)), { split: choice.split }) ?? new Map([["train", all.filter((name) => name.startsWith(base))]]);
  const found: BySplit = new Map();
  for (const { split, path: globs } of config.data_files) {
    const files = all.filter((name) => globs.some((glob) => globPattern(base + glob.replace(/^\.\//, "")).test(name)));
    found.set(split, [...(found.get(split) ?? []), ...files]);
  }
  return found;
}

/** A glob as the hub writes it: `*` within a folder, `**` over folders, `?`, `[0-9]`, `{a,b}`. */
export function globPattern(glob: string): RegExp {
  const source = glob.replace(/\*\*\/|\*\*|\*|\?|\[!?[^\]]*\]|\{[^{}]*\}|[\\^$.|+(){}[\]]/g, (part) => {
    if (part === "**/") return "(?:.*/)?";
    if (part === "**") return ".*";
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.startsWith("[") && part.length > 2) return part.replace("[!", "[^").replaceAll("\\", "\\\\");
    if (part.startsWith("{") && part.length > 2) return `(?:${part.slice(1, -1).split(",").map((one) => globPattern(one).source.slice(1, -1)).join("|")})`;
    return `\\${part}`;
  });
  return new RegExp(`^${source}$`);
}

/** Splits by the hub's naming: `data/train-00000-of-00002.parquet`, then folders and files whose names have a split's word; undefined where none has. */
function conventional(all: readonly string[], choice: FolderChoice): BySplit | undefined {
  const inConfig = choice.config === undefined ? all : all.filter((name) => name.split("/").includes(choice.config ?? ""));
  const sharded: BySplit = new Map();
  for (const name of inConfig) {
    const split = /(?:^|\/)([\w.]+(?:-[A-Za-z_]\w*)*)-\d{5}-of-\d{5}\b[^/]*$/.exec(name)?.[1];
    if (split !== undefined) sharded.set(canonical(split), [...(sharded.get(canonical(split)) ?? []), name]);
  }
  if (sharded.size > 0) return sharded;
  const byWord: BySplit = new Map();
  for (const name of inConfig) {
    const words = name.toLowerCase().split(/[-._ /\d]+/);
    // The file's own name says more than the folders above it.
    const split = [...words].reverse().map((word) => splitWords.find((names) => names.includes(word))?.[0]).find((found) => found !== undefined);
    if (split !== undefined) byWord.set(split, [...(byWord.get(split) ?? []), name]);
  }
  return byWord.size > 0 ? byWord : undefined;
}

function canonical(split: string): string {
  return splitWords.find((names) => names.includes(split.toLowerCase()))?.[0] ?? split;
}

function pickSplit(folder: string, bySplit: BySplit, { split = "train" }: FolderChoice, place: Place): string[] {
  const files = bySplit.get(split) ?? bySplit.get(canonical(split)) ?? [];
  if (files.length > 0) return files;
  const names = [...bySplit].filter(([, found]) => found.length > 0).map(([name]) => name);
  const near = nearest(split, names);
  throw TillageError.user("unknown_split", `${folder} has no split '${split}'.${near ? ` Did you mean '${near}'?` : names.length > 0 ? ` There are ${names.join(", ")}.` : ""}`, names.length > 0 ? `Say which one in the source: 'split: ${near ?? names[0] ?? ""}'.` : "See whether its files are there.", place);
}

/** A folder whose names say nothing: all of it. */
function plain(folder: string, all: readonly string[], choice: FolderChoice, place: Place): string[] {
  for (const key of ["split", "config"] as const) {
    if (choice[key] !== undefined && !(key === "split" && choice.split === "train")) throw TillageError.user(`unknown_${key}`, `${folder} has no ${key} '${choice[key]}': neither its README nor its files' names speak of any.`, `Take '${key}' out, or name the files.`, place);
  }
  if (all.length > 0) return [...all];
  throw TillageError.user("no_files", `${folder} holds no file that Tillage reads.`, "Name another folder, or files with a glob.", place);
}

function oneFormat(folder: string, files: readonly string[], place: Place): string[] {
  const kinds = new Map<string, number>();
  for (const name of files) {
    const format = formatOfName(name)?.format ?? "";
    kinds.set(format, (kinds.get(format) ?? 0) + 1);
  }
  if (kinds.size <= 1) return [...files];
  const counts = [...kinds].sort((a, b) => b[1] - a[1]).map(([format, count]) => `${count} ${format}`);
  const extension = path.extname(files.find((name) => formatOfName(name)?.format === [...kinds].sort((a, b) => b[1] - a[1])[0]?.[0]) ?? "");
  throw TillageError.user("mixed_formats", `${folder} holds files of several formats: ${counts.join(", ")}.`, `Name those of one format, such as '${path.basename(folder)}/**/*${extension}'.`, place);
}
