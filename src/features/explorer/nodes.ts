import path from "node:path";
import { formatBytes, formatCount, formatScaled, plural } from "../../core/format";
import { isLive, isResumable, phaseWord } from "../../core/run/state";
import type { RunPhase } from "../../core/run/state";
import type { RunSummary } from "../../runtime/run-folder";

export const groups = ["sources", "recipes", "datasets", "models", "runs", "evals"] as const;
export type Group = (typeof groups)[number];

export interface SourceFact {
  file: string;
  bytes: number;
}

export interface DatasetFact {
  dir: string;
  splits: { name: string; rows: number; files: string[] }[];
  shape: string;
  /** Milliseconds since the epoch. */
  time: number;
}

export interface ModelFact {
  dir: string;
  kind: "model" | "adapter";
  /** Of its weights. */
  bytes: number;
  family: string;
  /** The run that made it. */
  run?: RunSummary;
}

export interface ResultFact {
  file: string;
  /** The eval file that it answers, absolute. */
  evalFile: string;
  model: string;
  correct: number;
  of: number;
  time: number;
}

/** What a workspace holds. */
export interface WorkspaceFacts {
  root: string;
  sources: SourceFact[];
  recipes: string[];
  datasets: DatasetFact[];
  models: ModelFact[];
  runFiles: string[];
  runs: RunSummary[];
  evals: string[];
  results: ResultFact[];
}

/** One row of the tree; plain data. Commands of other features get it as their argument and read `fsPath`. */
export interface TreeNode {
  id: string;
  label: string;
  description: string;
  tooltip: string;
  /** A codicon's name, with `~spin` while it is at work; absent where the file's own icon fits better. */
  icon?: string;
  iconColor?: string;
  /** `viewItem` of the menus. */
  context: string;
  fsPath?: string;
  children: TreeNode[];
  expanded: boolean;
  command?: { id: string; title: string; argument?: unknown };
}

const titles: Record<Group, { label: string; icon: string; none: string; command?: { id: string; title: string } }> = {
  sources: { label: "Sources", icon: "database", none: "No Parquet, JSONL or CSV file: add one", command: { id: "tillage.corpus.add", title: "Add a corpus" } },
  recipes: { label: "Recipes", icon: "beaker", none: "No *.recipe.yaml yet: open a corpus and keep a filter" },
  datasets: { label: "Datasets", icon: "package", none: "None built yet: build a recipe" },
  models: { label: "Models", icon: "circuit-board", none: "None yet: a run makes one" },
  runs: { label: "Runs", icon: "graph-line", none: "No *.run.yaml yet" },
  evals: { label: "Evals", icon: "checklist", none: "No *.eval.yaml yet" },
};

/** The tree's roots; none when the workspace holds nothing, so that the welcome shows. */
export function treeOf(facts: WorkspaceFacts): TreeNode[] {
  const children: Record<Group, TreeNode[]> = {
    sources: facts.sources.map((source) => sourceNode(source, facts.root)),
    recipes: facts.recipes.map((file) => fileNode(file, facts.root, "recipe", "beaker")),
    datasets: [...facts.datasets].sort((a, b) => b.time - a.time).map(datasetNode),
    models: facts.models.map((model) => modelNode(model, facts.root)),
    runs: runNodes(facts),
    evals: facts.evals.map((file) => evalNode(file, facts)),
  };
  if (groups.every((group) => children[group].length === 0)) return [];
  const descriptions: Partial<Record<Group, string>> = {
    sources: facts.sources.length === 0 ? "" : `${formatCount(facts.sources.length)} · ${formatBytes(facts.sources.reduce((sum, source) => sum + source.bytes, 0))}`,
    runs: runsDescription(facts.runs),
  };
  return groups.map((group) => {
    const own = children[group];
    const { label, icon, none, command } = titles[group];
    const empty: TreeNode = { id: `${group}/none`, label: "", description: none, tooltip: "", context: "none", children: [], expanded: false, ...(command ? { command } : {}) };
    return {
      // Another id when the first thing comes: the view remembers by id that the empty group was closed.
      id: own.length > 0 ? group : `${group}/empty`, label, icon, description: descriptions[group] ?? (own.length > 0 ? formatCount(own.length) : ""), tooltip: "", context: `group-${group}`,
      children: own.length > 0 ? own : [empty], expanded: own.length > 0 && own.length <= 30,
    };
  });
}

function runsDescription(runs: readonly RunSummary[]): string {
  const live = runs.filter((run) => isLive(run.phase)).length;
  if (runs.length === 0) return "";
  return live > 0 ? `${formatCount(runs.length)} · ${formatCount(live)} running` : formatCount(runs.length);
}

function sourceNode(source: SourceFact, root: string): TreeNode {
  const folder = folderOf(source.file, root);
  return {
    id: `source:${source.file}`, label: path.basename(source.file), description: [formatBytes(source.bytes), folder].filter(Boolean).join(" · "),
    tooltip: `${source.file}\n${formatCount(source.bytes)} bytes`, context: "source", fsPath: source.file, children: [], expanded: false,
    command: { id: "tillage.corpus.open", title: "Open as corpus" },
  };
}

function fileNode(file: string, root: string, context: string, icon: string): TreeNode {
  return {
    id: `${context}:${file}`, label: path.basename(file), description: folderOf(file, root), tooltip: file, icon, context, fsPath: file, children: [], expanded: false,
    command: { id: "vscode.open", title: "Open" },
  };
}

function datasetNode(dataset: DatasetFact): TreeNode {
  const rows = dataset.splits.reduce((sum, split) => sum + split.rows, 0);
  const [name = "", hash = ""] = path.basename(dataset.dir).split("@");
  return {
    id: `dataset:${dataset.dir}`, label: name, icon: "package", context: "dataset", fsPath: dataset.dir, children: dataset.splits.flatMap((split) => shardNodes(dataset.dir, split)), expanded: false,
    description: [plural(rows, "row"), dayAndTime(dataset.time), hash && `@${hash.slice(0, 6)}`].filter(Boolean).join(" · "), tooltip: `${dataset.dir}\n${plural(rows, "row")}, ${dataset.shape}\nbuilt ${dayAndTime(dataset.time)}`,
    command: { id: "tillage.dataset.receipts", title: "Show receipts" },
  };
}

/** A split's files; one file goes by the split's name. */
function shardNodes(dir: string, split: DatasetFact["splits"][number]): TreeNode[] {
  return split.files.map((name) => {
    const file = path.join(dir, name);
    return {
      id: `shard:${file}`, label: split.files.length === 1 ? split.name : name, description: split.files.length === 1 ? plural(split.rows, "row") : split.name, tooltip: file,
      icon: "table", context: "shard", fsPath: file, children: [], expanded: false, command: { id: "tillage.corpus.open", title: "Open as corpus" },
    };
  });
}

function modelNode(model: ModelFact, root: string): TreeNode {
  const { run } = model;
  const label = run ? run.name : path.basename(model.dir);
  const what = model.kind === "adapter" ? "LoRA adapter" : model.family;
  return {
    id: `model:${model.dir}`, label, icon: model.kind === "adapter" ? "extensions" : "circuit-board", context: run ? "model-run" : "model", fsPath: run ? run.dir : model.dir,
    description: [what, formatBytes(model.bytes), run ? "" : folderOf(model.dir, root)].filter(Boolean).join(" · "),
    tooltip: `${model.dir}\n${what}, ${formatBytes(model.bytes)} of weights${run ? `\nmade by run ${run.id}, step ${formatCount(run.step)}` : ""}`,
    children: [], expanded: false, ...(run ? { command: { id: "tillage.run.open", title: "Open the run" } } : {}),
  };
}

/** Run files with their runs below them, newest first; then runs whose file is gone. */
function runNodes(facts: WorkspaceFacts): TreeNode[] {
  const known = new Set(facts.runFiles);
  const fileOf = (run: RunSummary): string | undefined => {
    const file = run.file === undefined ? undefined : path.resolve(run.dir, run.file);
    if (file === undefined || known.has(file)) return file;
    // The workspace was moved since: the file of the same name is meant, where there is only one.
    const named = facts.runFiles.filter((other) => path.basename(other) === path.basename(file));
    return named.length === 1 ? named[0] : file;
  };
  const files = facts.runFiles.map((file): TreeNode => {
    const runs = facts.runs.filter((run) => fileOf(run) === file);
    const live = runs.find((run) => isLive(run.phase));
    const node = fileNode(file, facts.root, "run-file", live ? "loading~spin" : "file-code");
    const state = live ? progressOf(live) : runs.length === 0 ? "not started" : plural(runs.length, "run");
    return {
      ...node, id: runs.length > 0 ? node.id : `${node.id}/empty`, description: [state, folderOf(file, facts.root)].filter(Boolean).join(" · "),
      children: runs.map((run) => runNode(run)), expanded: true,
    };
  });
  const orphans = facts.runs.filter((run) => !known.has(fileOf(run) ?? "")).map((run) => runNode(run, run.name));
  return [...files, ...orphans];
}

const phaseIcons: Record<RunPhase, { icon: string; color?: string }> = {
  waiting: { icon: "loading~spin" },
  running: { icon: "loading~spin" },
  stopping: { icon: "loading~spin" },
  completed: { icon: "pass", color: "testing.iconPassed" },
  stopped: { icon: "debug-pause" },
  failed: { icon: "error", color: "testing.iconFailed" },
  interrupted: { icon: "debug-disconnect", color: "list.warningForeground" },
};

/** `loss 1.834 · step 420/1,200`, with the phase before it where it is not the usual one; the loss first, as a narrow view cuts the end. */
function progressOf(run: RunSummary): string {
  const loss = run.loss === undefined ? "" : `loss ${run.loss.toFixed(3)}`;
  const steps = run.total > 0 ? (run.phase === "completed" ? plural(run.step, "step") : `step ${formatCount(run.step)}/${formatCount(run.total)}`) : "";
  const phase = run.phase === "running" || run.phase === "completed" ? "" : phaseWord(run.phase);
  return [phase, loss, steps].filter(Boolean).join(" · ");
}

/** A run by the time of its start; `name` stands before it where no run file above says it. */
export function runNode(run: RunSummary, name = ""): TreeNode {
  const { icon, color } = phaseIcons[run.phase];
  const started = run.startedAt === undefined ? "" : dayAndTime(Date.parse(run.startedAt));
  return {
    id: `run:${run.dir}`, label: [name, started].filter(Boolean).join(" · ") || run.id, icon, ...(color ? { iconColor: color } : {}),
    context: `run-${isLive(run.phase) ? "live" : isResumable(run.phase) ? "resumable" : "done"}`, fsPath: run.dir, children: [], expanded: false,
    description: progressOf(run),
    tooltip: `${run.name}: ${run.objective}${run.adapter ? ", LoRA" : ""}, ${phaseWord(run.phase)}${started ? `\nstarted ${started}` : ""}\n${run.dir}`,
    command: { id: "tillage.run.open", title: "Open the run" },
  };
}

function evalNode(file: string, facts: WorkspaceFacts): TreeNode {
  const results = facts.results.filter((result) => result.evalFile === file).sort((a, b) => b.time - a.time);
  const last = results[0];
  return {
    ...fileNode(file, facts.root, "eval", "checklist"),
    description: [last ? `${last.correct}/${last.of} · ${last.model}` : "not run", folderOf(file, facts.root)].filter(Boolean).join(" · "),
    expanded: false,
    children: results.map((result) => ({
      id: `result:${result.file}`, label: `${result.correct}/${result.of}`, description: `${result.model} · ${dayAndTime(result.time)}`, tooltip: path.dirname(result.file),
      icon: result.correct === result.of ? "pass" : "circle-large-outline", context: "result", fsPath: result.file, children: [], expanded: false,
      command: { id: "tillage.compare.open", title: "Compare" },
    })),
  };
}

/** A file's folder below the root; nothing for the root itself. */
function folderOf(file: string, root: string): string {
  const folder = path.relative(root, path.dirname(file)).split(path.sep).join("/");
  return folder.startsWith("..") ? path.dirname(file) : folder;
}

/** `14:03` today, `20 Nov, 14:03` before, in local time. */
export function dayAndTime(time: number, now = Date.now()): string {
  const date = new Date(time);
  const clock = `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
  if (date.toDateString() === new Date(now).toDateString()) return clock;
  const year = date.getFullYear() === new Date(now).getFullYear() ? "" : ` ${date.getFullYear()}`;
  return `${date.getDate()} ${date.toLocaleString("en-GB", { month: "short" })}${year}, ${clock}`;
}

/** A model's size in words, from what its config says. */
export function familyOf(config: { model_type?: string; hidden_size?: number; num_hidden_layers?: number }): string {
  const shape = config.num_hidden_layers !== undefined && config.hidden_size !== undefined ? ` ${config.num_hidden_layers}×${formatScaled(config.hidden_size)}` : "";
  return `${config.model_type ?? "model"}${shape}`;
}
