import path from "node:path";
import { runsNamed } from "../../app/models";
import { writeReport } from "../../app/report";
import type { ReportRequest } from "../../app/report";
import { askedSoFar, finishedRuns, recipesOf } from "../../app/report-scope";
import { runEval } from "../../app/run-eval";
import type { EvalResult } from "../../core/eval/result";
import { reportsDir } from "../../disk/layout";
import { TillageError } from "../../protocol/errors";
import type { Context } from "../context";

export interface ReportOptions {
  recipe?: string[];
  run?: string[];
  eval?: string;
  stage?: string[];
  out?: string;
  title?: string;
}

/**
 * `tillage report`: of the workspace's finished runs, their recipes and all that was asked, where nothing else is said.
 * Models named by `--stage` are asked; otherwise the answers that are there are shown.
 */
export async function report(context: Context, options: ReportOptions): Promise<{ report: string }> {
  const runs = options.run?.map((name) => runNamed(context.root, name)) ?? finishedRuns(context.root);
  const recipes = options.recipe ?? recipesOf(runs);
  const evals = await answers(context, options);
  if (runs.length + recipes.length + evals.length === 0) {
    throw TillageError.user("nothing_to_report", `${context.root} has no finished run and no answers yet.`, "Run `tillage train` and `tillage eval` first, or name a recipe with --recipe.", { file: context.root });
  }
  // A report of everything has a name of its own, so that it takes no other's place.
  const out = options.out ?? (options.eval === undefined ? path.join(reportsDir(context.root), "report.html") : undefined);
  const title = options.title ?? path.basename(context.root);
  const { report: file } = await writeReport({ title, recipes, runs, evals, raw: false, assetsDir: path.join(__dirname, "webview"), out }, context, context.signal);
  context.out.say(`\n  report: ${file}`);
  return { report: file };
}

function runNamed(root: string, name: string): string {
  const run = runsNamed(root, name)[0];
  if (!run) throw TillageError.user("no_run", `There is no run named ${name}.`, `Start ${name}.run.yaml first.`);
  return run;
}

async function answers(context: Context, options: ReportOptions): Promise<ReportRequest["evals"]> {
  const { eval: file, stage } = options;
  if (stage === undefined) return askedSoFar(context.root, file);
  if (file === undefined) throw TillageError.user("no_eval", "--stage names models to ask, but not what to ask them.", "Name the eval file with --eval.");
  const stages: EvalResult[] = [];
  for (const model of stage) stages.push(await runEval({ file, model }, context, { signal: context.signal }));
  return [{ file, stages }];
}
