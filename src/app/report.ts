import { readFileSync } from "node:fs";
import path from "node:path";
import type { EvalResult } from "../core/eval/result";
import { parseEvalFile } from "../core/eval/schema";
import type { ReportBuild, ReportCurve, ReportData } from "../core/report/data";
import { renderReport } from "../core/report/html";
import { smooth } from "../core/run/series";
import { TillageError } from "../protocol/errors";
import { reportsDir, stem, writeAtomic } from "../runtime/layout";
import { readRun } from "../runtime/run-folder";
import type { Deps } from "./deps";
import { readText, readYaml } from "./files";

export interface ReportRequest {
  title: string;
  recipes: string[];
  /** Run folders, in order. */
  runs: string[];
  evalFile: string;
  /** Results to show side by side, in order. */
  stages: EvalResult[];
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
  const evalSpec = readYaml(path.resolve(request.evalFile), "eval file", parseEvalFile);
  const builds: ReportBuild[] = [];
  for (const recipe of request.recipes) builds.push(await gatherBuild(path.resolve(recipe), request.raw, deps, signal));
  const curves: ReportCurve[] = [];
  for (const run of request.runs) curves.push(await gatherCurve(run));
  const leakGuards = builds.flatMap((item) => item.build.guards.filter((guard) => !guard.ok && guard.guard === "leakage"));
  const leakText = leakGuards.flatMap((guard) => guard.rows.map((row) => row.detail)).join("\n");
  const data: ReportData = {
    title: request.title,
    time: new Date().toISOString(),
    raw: request.raw,
    builds,
    curves,
    evalTitle: evalSpec.title ?? stem(request.evalFile),
    stages: request.stages,
    leaked: evalSpec.prompts.filter((prompt) => leakText.includes(prompt.id) || leakText.includes(prompt.prompt)).map((prompt) => prompt.id),
  };
  const out = path.resolve(request.out ?? path.join(reportsDir(deps.root), `${stem(request.evalFile)}${request.raw ? "-raw" : ""}.html`));
  writeAtomic(out, renderReport(data, { script: asset(request.assetsDir, "report.js"), style: asset(request.assetsDir, "report.css") }));
  return { report: out, data };
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
