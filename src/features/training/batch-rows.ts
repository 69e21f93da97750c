import { existsSync } from "node:fs";
import path from "node:path";
import { toolCallsOf } from "../../core/dataset/tool-calls";
import { TillageError, toProblem } from "../../protocol/errors";
import type { Problem } from "../../protocol/errors";
import type { Cell, CorpusApi } from "../../protocol/corpus";
import type { RunSpec } from "../../protocol/native.gen";
import type { BatchRow, BatchRows, DrawnAnswer } from "../../protocol/training-panel";
import { rolloutsOf } from "../../runtime/rollouts";
import { datasetOf, rowsOfStep } from "../../runtime/run-folder";

/** The rows of one step's batch with their texts and, where a checkpoint has written them, their losses. */
export async function batchRows(dir: string, spec: RunSpec, step: number, corpus: CorpusApi, signal: AbortSignal): Promise<BatchRows> {
  const dataset = datasetOf(dir, spec);
  if (dataset === undefined) throw TillageError.user("no_dataset", `The dataset of this run is not there any more: ${spec.data.train[0] ?? "none"}.`, "Build the recipe again; the same recipe on the same sources gives the same rows.");
  const ids = [...new Set(await rowsOfStep(dir, step))];
  const [found, losses, drawn] = await Promise.all([corpus.rows({ dataset, rowIds: ids }, signal), settled(rowLosses(dir, step, corpus, signal)), answersOf(dir, spec, step)]);
  const byId = new Map(found.map((row) => [row.rowId, row]));
  const rows = ids.flatMap((id): BatchRow[] => {
    const row = byId.get(id);
    const loss = losses.value?.get(id);
    const answers = drawn.get(id);
    const weight = spec.weight ? row?.values[spec.weight] : undefined;
    return row ? [{ rowId: id, source: row.source, text: textOf(row.values), ...(typeof weight === "number" ? { weight } : {}), ...(loss === undefined ? {} : { loss }), ...(answers ? { answers } : {}) }] : [];
  });
  // Where the model is rewarded, its loss says nothing of a row: those come first that earned least.
  if (drawn.size > 0) rows.sort((a, b) => meanReward(a) - meanReward(b));
  else rows.sort((a, b) => (b.loss ?? 0) - (a.loss ?? 0));
  return { step, rows, missing: ids.length - rows.length, dataset, ...(losses.problem ? { lossProblem: losses.problem } : {}) };
}

/** The answers that a policy drew in a step, by row. */
async function answersOf(dir: string, spec: RunSpec, step: number): Promise<Map<string, DrawnAnswer[]>> {
  const byRow = new Map<string, DrawnAnswer[]>();
  if (!spec.policy) return byRow;
  for (const { row_id, text, reward, rewards, advantage, ended } of await rolloutsOf(dir, { step })) {
    byRow.set(row_id, [...(byRow.get(row_id) ?? []), { text, reward, rewards, advantage, ended }]);
  }
  return byRow;
}

function meanReward({ answers }: BatchRow): number {
  return answers?.length ? answers.reduce((sum, answer) => sum + answer.reward, 0) / answers.length : Number.POSITIVE_INFINITY;
}

/** A row of any shape as one text; answers that were judged begin with ✓ or ✗. */
export function textOf(values: Record<string, Cell>): string {
  const has = (name: string): boolean => values[name] !== undefined && values[name] !== null;
  if (has("prompt") && has("completion")) return `${String(values["prompt"])} ${mark(values["label"])} ${String(values["completion"])}`;
  if (has("chosen") && has("rejected")) {
    const answer = (name: string): string => messagesText(String(values[name]));
    const question = has("prompt") ? `${messagesText(String(values["prompt"]))}\n` : "";
    return `${question}✓ ${answer("chosen")}\n✗ ${answer("rejected")}`;
  }
  if (has("messages")) return messagesText(String(values["messages"]));
  return has("text") ? String(values["text"]) : JSON.stringify(values);
}

/** What stands between a prompt and its answer: the answer's judgement where it has one. */
function mark(label: Cell | undefined): string {
  return label === true ? "→ ✓" : label === false ? "→ ✗" : "→";
}

function messagesText(json: string): string {
  try {
    const messages = JSON.parse(json) as unknown;
    if (!Array.isArray(messages)) return json;
    return (messages as Record<string, unknown>[]).map((message) => `${String(message["role"])}: ${[message["content"] ?? "", ...toolCallsOf(message)].map(String).filter((part) => part !== "").join(" ")}`).join("\n");
  } catch {
    return json;
  }
}

/** The rows are worth showing without their losses; why those are missing is said beside them. */
async function settled<T>(promise: Promise<T>): Promise<{ value?: T; problem?: Problem }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { problem: toProblem(error) };
  }
}

async function rowLosses(dir: string, step: number, corpus: CorpusApi, signal: AbortSignal): Promise<Map<string, number>> {
  const file = path.join(dir, "row_loss.parquet");
  if (!existsSync(file)) return new Map();
  const opened = await corpus.open({ path: file }, signal);
  try {
    const page = await corpus.page({ handle: opened.handle, query: { clauses: [{ kind: "range", column: "step", min: step, max: step }] }, offset: 0, limit: 1000 }, signal);
    const at = (name: string): number => opened.columns.findIndex((column) => column.name === name);
    const [id, loss] = [at("row_id"), at("loss")];
    return new Map(page.rows.map((row) => [String(row.cells[id]), Number(row.cells[loss])]));
  } finally {
    await corpus.close({ handle: opened.handle });
  }
}
