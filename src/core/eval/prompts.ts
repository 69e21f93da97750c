/** Where the prompts of an eval file stand, and what became of them, as text for an editor. Pure. */
import { isMap, isSeq } from "yaml";
import type { YamlFile } from "../yaml-file";
import type { ComparedCase } from "./compare";
import type { EvalCase } from "./result";
import type { EvalFile } from "./schema";

export interface PromptPlace {
  id: string;
  prompt: string;
  /** 0-based offset of the prompt's first key. */
  start: number;
  /** 0-based offset of the last character of its last value. */
  end: number;
}

/** The prompts of a file that parses, in its order; `source` is the text that it was parsed from. */
export function promptPlaces(file: YamlFile<EvalFile>, source: string): PromptPlace[] {
  const list = file.document.get("prompts", true);
  if (!isSeq(list) || !file.value) return [];
  return file.value.prompts.flatMap(({ id, prompt }, index): PromptPlace[] => {
    const node = list.items[index];
    const range = isMap(node) ? node.range : undefined;
    if (!range) return [];
    const text = source.slice(range[0], range[1]).trimEnd();
    return [{ id, prompt, start: range[0], end: range[0] + Math.max(0, text.length - 1) }];
  });
}

export const CHANGE_WORDS = { fixed: "fixed", broken: "broken", changed: "changed", same: "same" } as const;

export function mark(pass: boolean): string {
  return pass ? "✓" : "✗";
}

/** A comparison as markdown: the lines that changed, then the verdict with its checks. */
export function changeMarkdown(item: ComparedCase, before: string, after: string): string {
  const lines = [
    `${mark(item.before.verdict.pass)} **${escapeMarkdown(before)}** → ${mark(item.after.verdict.pass)} **${escapeMarkdown(after)}** · ${CHANGE_WORDS[item.change]}`,
    "",
    fenced("diff", item.change === "same" ? quoted(" ", item.after.output) : `${quoted("-", item.before.output)}\n${quoted("+", item.after.output)}`),
    "",
    ...item.after.verdict.checks.map((check, index) => `- ${escapeMarkdown(check.check)}: ${yesNo(item.before.verdict.checks[index]?.pass)} → ${yesNo(check.pass)}`),
  ];
  if (item.answer !== null) lines.push("", `Expected: ${escapeMarkdown(item.answer)}`);
  return lines.join("\n");
}

/** An answer as a document for VS Code's own diff: what was asked, what was answered, how it was judged. */
export function outputDocument(item: EvalCase, model: string): string {
  const checks = item.verdict.checks.map((check) => `  ${mark(check.pass)} ${check.check}`);
  return [item.prompt, "", item.output.trim(), "", `${mark(item.verdict.pass)} ${item.verdict.pass ? "passes" : "fails"}`, ...checks, "", `model: ${model}`, ""].join("\n");
}

function yesNo(pass: boolean | undefined): string {
  return pass === undefined ? "–" : pass ? "yes" : "no";
}

function quoted(lead: string, text: string): string {
  return text.trim().split("\n").map((line) => `${lead} ${line}`).join("\n");
}

/** A fence longer than any that the text holds. */
function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/gu)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!<>|~]/gu, "\\$&");
}
