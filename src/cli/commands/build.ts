import path from "node:path";
import pc from "picocolors";
import type { BuildResult } from "../../protocol/corpus";
import { readingText } from "../../core/dataset";
import { formatPercent, formatScaled, plural } from "../../core/format";
import { budgetLimit, syntheticWords } from "../../core/mix/words";
import type { Context } from "../context";
import { progress } from "../progress";
import { sayBadRows, table } from "../output";

/** `tillage build RECIPE` */
export async function build(context: Context, recipe: string, options: { raw?: boolean }): Promise<BuildResult> {
  const bar = progress("build", context.out.json);
  try {
    const result = await context.corpus.build({ path: path.resolve(recipe), skipSteps: options.raw ?? false, root: context.root }, context.signal, (p) => bar.update(p.done, p.of, p.stage));
    bar.stop();
    printBuild(context, result);
    return result;
  } finally {
    bar.stop();
  }
}

/** The table of a build: each source and step, rows in and out, and why. */
export function printBuild(context: Context, result: BuildResult): void {
  const { out } = context;
  out.title(path.basename(result.recipe));
  out.say(table(
    [{ head: "source" }, { head: "read as" }, { head: "rows", align: "right" }, { head: "tokens", align: "right" }, { head: "kept out" }],
    result.sources.map((source) => [source.name, source.reading ? readingText(source.reading) : "", source.rows, formatScaled(source.tokens), source.badRows > 0 ? `${source.badRows} unreadable` : ""]),
  ));
  for (const source of result.sources) sayBadRows(out, source);
  for (const { name, reading } of result.sources) {
    if (reading?.confidence !== "unsure") continue;
    const others = reading.alternatives.length > 0 ? ` It may be ${reading.alternatives.map(readingText).join(" or ")} as well.` : "";
    out.say(`  ${pc.yellow("unsure")} ${name} is read as ${reading.shape}: ${reading.reason}.${others} Say which with 'as' and 'map' in the source.`);
  }
  if (result.steps.length > 0) {
    out.say();
    out.say(table(
      [{ head: "step" }, { head: "in", align: "right" }, { head: "out", align: "right" }, { head: "", align: "right" }, { head: "why" }],
      result.steps.map((step) => [step.step, step.in, step.out, step.in === step.out ? "" : pc.red(`−${step.in - step.out}`), why(step)]),
    ));
  }
  if (result.mix.rows.length > 1) {
    out.say();
    out.say(table(
      [{ head: `mix by ${result.mix.by}` }, { head: "tokens", align: "right" }, { head: "share before", align: "right" }, { head: "share now", align: "right" }, { head: "epochs", align: "right" }],
      result.mix.rows.map((row) => [row.group, formatScaled(row.tokens), formatPercent(row.shareNow), formatPercent(row.shareWanted), row.epochs.toFixed(2)]),
    ));
  }
  const limit = budgetLimit(result.mix, result.mix.maxEpochs);
  if (limit) out.say(`  budget: ${limit.group} ${limit.text}`);
  if (result.mix.synthetic) out.say(`  ${syntheticWords(result.mix.synthetic)}`);
  if (result.curriculum && result.curriculum.order !== "shuffle") out.say(`  order: ${curriculumWords(result.curriculum)}`);
  out.say();
  for (const part of result.split) out.say(`  ${part.name}: ${plural(part.rows, "row")}, ${formatScaled(part.tokens)} tokens`);
  for (const guard of result.guards) if (!guard.ok) out.say(`  ${pc.yellow("guard")} ${guard.guard}: ${guard.message}`);
  out.say(`  ${result.built ? "built" : "unchanged"}: ${path.relative(process.cwd(), result.dataset)} (${result.seconds.toFixed(1)} s)`);
}

/** Such as `column difficulty, descending`. */
function curriculumWords({ order, by, descending }: NonNullable<BuildResult["curriculum"]>): string {
  return `${order}${by === undefined ? "" : ` ${by}`}${descending ? ", descending" : ""}`;
}

function why(step: BuildResult["steps"][number]): string {
  const changed = step.changed > 0 ? [`${plural(step.changed, "row")} changed`] : [];
  if (step.weighted) changed.push(`${plural(step.weighted, "row")} weighted`);
  return [...step.reasons.slice(0, 4).map((reason) => `${reason.reason} ${reason.rows}`), ...changed].join(", ");
}
