import { readFileSync } from "node:fs";
import path from "node:path";
import type { EvalResult } from "../core/eval/result";
import { parseEvalFile } from "../core/eval/schema";
import type { ReportBuild, ReportCurve, ReportData, ReportEval } from "../core/report/data";
import { renderReport } from "../core/report/html";
import { smooth } from "../core/run/series";
import { TillageError } from "../protocol/errors";
import { writeAtomic } from "../disk/atomic";
import { reportsDir, stem } from "../disk/layout";
import { readRun } from "../runtime/run-folder";
import type { Deps } from "./deps";
import { readText } from "../disk/read-text";
import { readYaml } from "./files";

export interface ReportRequest {
  title: string;
  recipes: string[];
  /** Run folders, in order. */
  runs: string[];
  /** Eval files, each with the results to show side by side, in order. */
  evals: { file: string; stages: EvalResult[] }[];
  /** The sources were taken as they are. */
  raw: boolean;
  /** Where the report's script and style lie: the `webview` folder of the bundles. */
  assetsDir: string;
  out?: string;
}

/** Rows of a step that a report lists. */
const RECEIPTS_PER_STEP = 30;
/** Weight of the exponential moving average in the curves. */
const SMOOTHING = 0.9;

/** Gathers and writes a report. Returns its path. */
export async function writeReport(request: ReportRequest, deps: Deps, signal?: AbortSignal): Promise<{ report: string; data: ReportData }> {
  const builds: ReportBuild[] = [];
  for (const recipe of request.recipes) builds.push(await gatherBuild(path.resolve(recipe), request.raw, deps, signal));
  const curves: ReportCurve[] = [];
  for (const run of request.runs) curves.push(await gatherCurve(run));
  const data: ReportData = {
    title: request.title,
    time: new Date().toISOString(),
    raw: request.raw,
    builds,
    curves,
    evals: request.evals.map((item) => gatherEval(item, builds)),
  };
  const out = path.resolve(request.out ?? path.join(reportsDir(deps.root), `${stem(request.evals[0]?.file ?? "report")}${request.raw ? "-raw" : ""}.html`));
  writeAtomic(out, renderReport(data, { script: asset(request.assetsDir, "report.js"), style: asset(request.assetsDir, "report.css") }));
  return { report: out, data };
}

function gatherEval(item: ReportRequest["evals"][number], builds: ReportBuild[]): ReportEval {
  const spec = readYaml(path.resolve(item.file), "eval file", parseEvalFile);
  const leaks = builds.flatMap((made) => made.build.guards.filter((guard) => !guard.ok && guard.guard === "evaluation_text").flatMap((guard) => guard.rows.map((row) => row.detail))).join("\n");
  return { title: spec.title ?? stem(item.file), stages: item.stages, leaked: spec.prompts.filter((prompt) => leaks.includes(prompt.id)).map((prompt) => prompt.id) };
}

function asset(dir: string, name: string): string {
  try {
    return readFileSync(path.join(dir, name), "utf8").replace(/\n\/[/*]# sourceMappingURL=.*$/su, "");
  } catch (error) {
    throw TillageError.internal("missing_asset", `The report's ${name} is not in ${dir}.`, { cause: error });
  }
}

async function gatherBuild(recipe: string, raw: boolean, deps: Deps, signal?: AbortSignal): Promise<ReportBuild> {
  const build = await deps.corpus.build({ path: recipe, skipSteps: raw, root: deps.root }, signal);
  const text = readText(recipe, "recipe");
  const receipts: ReportBuild["receipts"] = [];
  for (const step of build.steps) {
    const touched = step.in !== step.out || step.changed > 0;
    receipts[step.index] = touched ? await deps.corpus.dropped({ path: recipe, text, step: step.index, limit: RECEIPTS_PER_STEP }, signal) : [];
  }
  const skipped = raw ? (await deps.corpus.counts({ path: recipe, text }, signal)).steps : [];
  return { name: stem(recipe), build, receipts, skipped };
}

async function gatherCurve(runDir: string): Promise<ReportCurve> {
  const { spec, state } = await readRun(runDir);
  const { step, loss, seconds } = state.series;
  return {
    name: spec.name,
    objective: spec.objective,
    adapter: Boolean(spec.adapter),
    parameters: state.parameters,
    trainable: state.trainable,
    steps: state.step,
    seconds: seconds.at(-1) ?? 0,
    trainRows: state.trainRows,
    trainTokens: state.trainTokens,
    step,
    loss,
    smoothed: smooth(loss, SMOOTHING),
    validation: state.validation.map((point) => ({ step: point.step, loss: point.loss })),
    first: loss[0] ?? NaN,
    last: loss.at(-1) ?? NaN,
  };
}
