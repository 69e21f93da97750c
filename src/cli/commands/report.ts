import path from "node:path";
import { runsNamed } from "../../app/models";
import { writeReport } from "../../app/report";
import { runEval } from "../../app/run-eval";
import { TillageError } from "../../protocol/errors";
import type { Context } from "../context";

export interface ReportOptions {
  recipe: string[];
  run: string[];
  eval: string;
  stage: string[];
  out?: string;
  title?: string;
}

/** `tillage report --recipe … --run … --eval … --stage …` */
export async function report(context: Context, options: ReportOptions): Promise<{ report: string }> {
  const runs = options.run.map((name) => {
    const run = runsNamed(context.root, name)[0];
    if (!run) throw TillageError.user("no_run", `There is no run named ${name}.`, `Start ${name}.run.yaml first.`);
    return run;
  });
  const stages = [];
  for (const model of options.stage) stages.push(await runEval({ file: options.eval, model }, context, { signal: context.signal }));
  const { report: file } = await writeReport(
    { title: options.title ?? "Before and after", recipes: options.recipe, runs, evals: [{ file: options.eval, stages }], raw: false, assetsDir: path.join(__dirname, "webview"), out: options.out },
    context,
    context.signal,
  );
  context.out.say(`\n  report: ${file}`);
  return { report: file };
}
