import path from "node:path";
import { readingText } from "../../core/dataset/mapping";
import { formatCount, formatDelta, formatPercent, formatScaled, plural } from "../../core/format";
import { phaseWord } from "../../core/run/state";
import type { Manifest } from "../../data/build/manifest";
import type { LineageGraph, LineageNode } from "../../protocol/lineage-panel";
import type { RunSummary } from "../../runtime/run-folder";

/** A run that trained on the dataset, and the models that it left. */
export interface DatasetRun {
  run: RunSummary;
  results: { dir: string; kind: "model" | "adapter" }[];
}

/** What is known of the files now: null where one is gone; whether it was written after the dataset. */
export type FileState = (file: string) => { newer: boolean } | null;

/** More files of a source than this stand as one. */
const MOST_FILES = 6;

/** Where a dataset comes from and what was trained on it, layer by layer. `root` holds `.tillage`. */
export function lineageOf(manifest: Manifest, runs: readonly DatasetRun[], root: string, stateOf: FileState): LineageGraph {
  const { sources, steps, mix, split, files, evals } = manifest;
  const rowsIn = sources.reduce((sum, source) => sum + source.rows, 0);
  const edges: LineageGraph["edges"] = [];
  const link = (from: readonly string[], to: readonly string[]): void => {
    for (const a of from) for (const b of to) edges.push({ from: a, to: b });
  };

  const fileNodes = sources.flatMap((source): LineageNode[] => {
    const own = files.filter((file) => file.source === source.name);
    const shown = own.length > MOST_FILES ? own.slice(0, MOST_FILES - 1) : own;
    const nodes = shown.map((file) => fileNode("file", path.resolve(root, file.path), file.path, file.sha256, stateOf));
    const left = own.length - shown.length;
    if (left > 0) nodes.push({ id: `more:${source.name}`, kind: "file", label: plural(left, "more file"), facts: [`of ${source.name}`], opens: false });
    link(nodes.map((node) => node.id), [`source:${source.name}`]);
    return nodes;
  });
  // Two sources may read one file.
  const uniqueFiles = [...new Map(fileNodes.map((node) => [node.id, node])).values()];

  const sourceNodes = sources.map((source): LineageNode => ({
    id: `source:${source.name}`, kind: "source", label: source.name, rows: source.rows, opens: true,
    facts: [...(source.reading ? [readingText(source.reading)] : []), `${plural(source.rows, "row")}, ${formatScaled(source.tokens)} tokens`, ...(source.badRows > 0 ? [`${plural(source.badRows, "bad row")} kept out`] : [])],
    ...(source.reading?.confidence === "unsure" ? { warning: `its shape was not sure: ${source.reading.reason}` } : {}),
  }));

  const evalNodes = evals.map((file) => fileNode("eval", path.resolve(root, file.path), file.path, file.sha256, stateOf));
  const stepNodes = steps.map((step): LineageNode => ({
    id: `step:${step.index}`, kind: "step", label: step.step, rows: step.out, rowsIn: step.in, opens: true,
    facts: [`in ${formatCount(step.in)} · out ${formatCount(step.out)}${step.changed > 0 ? ` · ${formatCount(step.changed)} changed` : ""}`, ...(step.reasons[0] ? [step.reasons.slice(0, 2).map(({ reason, rows }) => `${reason} ${formatCount(rows)}`).join(" · ")] : [])],
    ...(step.reasons.length > 0 ? { receipts: { step: step.step, label: step.out < step.in ? `${formatDelta(step.out - step.in)} rows` : plural(step.changed, "changed row", "changed rows") } } : {}),
  }));

  const kept = steps.at(-1)?.out ?? rowsIn;
  const mixed = split.find((side) => side.name === "train");
  const mixNode: LineageNode = {
    id: "mix", kind: "mix", label: `mix by ${mix.by}`, opens: true,
    facts: [...mix.rows.slice(0, 4).map((row) => `${row.group} ${formatPercent(row.shareNow)} → ${formatPercent(row.shareWanted)}, ${row.epochs.toFixed(2)} epochs`), ...(mix.rows.length > 4 ? [`and ${mix.rows.length - 4} more`] : [])],
    ...(mix.limitedBy === undefined ? {} : { warning: `${mix.limitedBy} limits the budget` }),
    // Rows that the mix did not take have receipts under its name.
    ...(mix.rows.some((row) => row.epochs < 1) ? { receipts: { step: "mix", label: "rows not taken" } } : {}),
  };
  const splitNodes = split.filter((side) => side.files.length > 0).map((side): LineageNode => ({
    id: `split:${side.name}`, kind: "split", label: side.name, rows: Math.min(side.rows, rowsIn), opens: true,
    facts: [`${plural(side.rows, "row")}, ${formatScaled(side.tokens)} tokens`, plural(side.files.length, "file")],
  }));

  const runNodes = runs.map(({ run }): LineageNode => ({
    id: `run:${run.dir}`, kind: "run", label: run.name, opens: true,
    facts: [`${run.objective}${run.adapter ? ", LoRA" : ""}, ${phaseWord(run.phase)}`, ...(run.total > 0 ? [`step ${formatCount(run.step)} of ${formatCount(run.total)}${run.loss === undefined ? "" : `, loss ${run.loss.toFixed(3)}`}`] : [])],
  }));
  const modelNodes = runs.flatMap(({ run, results }) => results.map(({ dir, kind }): LineageNode => ({ id: `model:${dir}`, kind: "model", label: `${run.name} (${kind})`, facts: [path.relative(root, dir).split(path.sep).join("/")], opens: true })));

  const first = stepNodes[0]?.id ?? "mix";
  link(sourceNodes.map((node) => node.id), [first]);
  stepNodes.forEach((node, i) => link([node.id], [stepNodes[i + 1]?.id ?? "mix"]));
  const compared = stepNodes.find((node) => node.label.startsWith("decontaminate"))?.id;
  // Without such a step they are what the guard compared the training rows with.
  link(evalNodes.map((node) => node.id), [compared ?? "split:train"]);
  link(["mix"], splitNodes.map((node) => node.id));
  link(splitNodes.map((node) => node.id), runNodes.map((node) => node.id));
  for (const { run, results } of runs) link([`run:${run.dir}`], results.map(({ dir }) => `model:${dir}`));

  const layers = [
    { title: "files", nodes: uniqueFiles },
    { title: "sources", nodes: sourceNodes },
    ...stepNodes.map((node, i) => ({ title: i === 0 ? "steps" : "", nodes: node.id === compared ? [node, ...evalNodes] : [node] })),
    { title: "mix", nodes: [{ ...mixNode, rows: Math.min(mixed?.rows ?? kept, rowsIn) }] },
    { title: "dataset", nodes: [...splitNodes, ...(compared === undefined ? evalNodes : [])] },
    { title: "runs", nodes: runNodes },
    { title: "models", nodes: modelNodes },
  ];
  return { layers: layers.filter((layer) => layer.nodes.length > 0), edges: dedupe(edges), rowsIn };
}

function fileNode(kind: "file" | "eval", file: string, shown: string, sha256: string, stateOf: FileState): LineageNode {
  const state = stateOf(file);
  const warning = state === null ? "it is not there any more" : state.newer ? "it was written after the dataset was built" : undefined;
  return { id: `${kind}:${file}`, kind, label: path.basename(file), facts: [...(path.dirname(shown) === "." ? [] : [path.dirname(shown)]), `sha256 ${sha256.slice(0, 12)}`], ...(warning === undefined ? {} : { warning }), opens: state !== null };
}

function dedupe(edges: LineageGraph["edges"]): LineageGraph["edges"] {
  return [...new Map(edges.map((edge) => [`${edge.from}\n${edge.to}`, edge])).values()];
}
