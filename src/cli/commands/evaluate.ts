import pc from "picocolors";
import { runEval } from "../../app/run-eval";
import { compareResults } from "../../core/eval/compare";
import type { Comparison, WordPart } from "../../core/eval/compare";
import type { EvalResult } from "../../core/eval/result";
import type { Context } from "../context";
import { table } from "../output";

/** `tillage eval EVAL --model REF` */
export async function evaluate(context: Context, file: string, models: string[]): Promise<EvalResult[]> {
  const results: EvalResult[] = [];
  for (const model of models) {
    const result = await runEval({ file, model }, context, { signal: context.signal });
    results.push(result);
    context.out.title(`${result.model.label}: ${result.correct} of ${result.of}`);
    context.out.say(table([{ head: "" }, { head: "question", width: 38 }, { head: "answer", width: 60 }], result.cases.map((item) => [mark(item.verdict.pass), item.prompt, item.output.trim() || pc.dim("(nothing)")])));
  }
  return results;
}

/** `tillage compare EVAL --before REF --after REF` */
export async function compare(context: Context, file: string, before: string, after: string): Promise<Comparison> {
  const first = await runEval({ file, model: before }, context, { signal: context.signal });
  const second = await runEval({ file, model: after }, context, { signal: context.signal });
  const comparison = compareResults(first, second);
  const { counts } = comparison;
  context.out.title(`${first.model.label} → ${second.model.label}: ${counts.fixed} fixed, ${counts.broken} broken, ${counts.changed} changed, ${counts.same} same`);
  for (const item of comparison.cases) {
    context.out.say(`\n  ${mark(item.before.verdict.pass)} → ${mark(item.after.verdict.pass)} ${pc.bold(item.prompt)}`);
    context.out.say(`    ${words(item.words)}`);
  }
  return comparison;
}

function mark(pass: boolean): string {
  return pass ? pc.green("✓") : pc.red("✗");
}

function words(parts: WordPart[]): string {
  return parts.map((part) => (part.kind === "added" ? pc.green(`{+${part.text}+}`) : part.kind === "removed" ? pc.red(`[-${part.text}-]`) : part.text)).join("").replace(/\s*\n\s*/gu, " ");
}
