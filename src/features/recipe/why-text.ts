import { formatDelta } from "../../core/format";
import type { Cell, ReceiptRow, StepCount } from "../../protocol/corpus";

export interface RowStory {
  rowId: string;
  dataset: string;
  steps: StepCount[];
  /** The row's receipts, in any order. */
  receipts: ReceiptRow[];
  /** The row as the dataset has it; absent when it left. */
  kept?: { source: string; values: Record<string, Cell> };
  /** Rows whose receipts name this one as what they matched. */
  matchedBy: ReceiptRow[];
}

/** A row's way through the steps, as Markdown. */
export function whyText(story: RowStory): string {
  const first = story.receipts[0];
  const dropped = dropping(story);
  const origin = first ? `${first.source} · ${first.file}, row ${first.fileRow + 1}` : (story.kept?.source ?? "");
  const verdict = story.kept
    ? `It is **in the dataset** ${story.dataset}${changes(story) > 0 ? ", changed on the way" : ""}.`
    : dropped
      ? `It **left** ${story.dataset} at ${place(story, dropped)}: ${dropped.reason}.`
      : `${story.dataset} has no such row, and no receipt names it.`;
  const lines = [`# Row ${story.rowId}`, "", ...(origin ? [origin, ""] : []), verdict, ""];
  const text = first?.text ?? textOf(story.kept?.values);
  if (text) lines.push(...quote(text), "");
  if (story.steps.length > 0 && (story.kept || first)) lines.push("## Its way through the steps", "", ...way(story), "");
  if (story.matchedBy.length > 0) {
    lines.push("## Rows that left because of it", "");
    for (const other of story.matchedBy.slice(0, 20)) lines.push(`- \`${other.rowId}\` (${other.step}: ${other.reason}${other.value === null ? "" : `, ${other.value}`})`, "", ...quote(other.text), "");
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

function way(story: RowStory): string[] {
  const lines: string[] = [];
  for (const step of story.steps) {
    const receipts = story.receipts.filter((receipt) => receipt.step === step.step);
    const label = `${step.index + 1}. \`${step.step}\` (${formatDelta(step.out - step.in)} rows)`;
    if (receipts.length === 0) {
      lines.push(`${label}: passed`);
      continue;
    }
    for (const receipt of receipts) {
      const value = receipt.value === null ? "" : ` — \`${receipt.value}\``;
      lines.push(`${label}: **${effectOf(receipt)}**, ${receipt.reason}${value}`);
      if (receipt.matchedRowId !== null) lines.push("", `   It matched row \`${receipt.matchedRowId}\`:`, "", ...quote(receipt.matchedText ?? "").map((line) => `   ${line}`), "");
    }
    if (receipts.some((receipt) => effectOf(receipt) === "dropped")) return lines;
  }
  const after = story.receipts.filter((receipt) => !story.steps.some((step) => step.step === receipt.step));
  return [...lines, ...after.map((receipt, i) => `${story.steps.length + 1 + i}. \`${receipt.step}\`: **${effectOf(receipt)}**, ${receipt.reason}`)];
}

function dropping(story: RowStory): ReceiptRow | undefined {
  return story.receipts.find((receipt) => effectOf(receipt) === "dropped");
}

function changes(story: RowStory): number {
  return story.receipts.filter((receipt) => effectOf(receipt) === "changed").length;
}

/** Rows leave at a step, or at the mix that comes after all steps. */
function place(story: RowStory, receipt: ReceiptRow): string {
  const step = story.steps.find((item) => item.step === receipt.step);
  return step ? `step ${step.index + 1}, \`${step.step}\`` : `the \`${receipt.step}\``;
}

function effectOf(receipt: ReceiptRow): string {
  return receipt.effect ?? "dropped";
}

function textOf(values: Record<string, Cell> | undefined): string {
  if (!values) return "";
  return ["text", "prompt", "completion", "messages"].map((name) => values[name]).filter((value): value is string => typeof value === "string" && value !== "").join("\n\n");
}

function quote(text: string): string[] {
  return text === "" ? [] : text.split("\n").map((line) => `> ${line}`);
}
