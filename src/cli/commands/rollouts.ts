import path from "node:path";
import pc from "picocolors";
import { plural } from "../../core/format";
import { TillageError } from "../../protocol/errors";
import type { Rollout, RunSpec } from "../../protocol/native.gen";
import { datasetOf, readRun } from "../../runtime/run-folder";
import { rolloutsOf } from "../../runtime/rollouts";
import type { Context } from "../context";

export interface RolloutOptions {
  step?: string;
  row?: string;
}

/** `tillage rollouts RUN_DIR`: the answers that a policy drew, with what they were worth; of the newest step where nothing is asked for. */
export async function rollouts(context: Context, runDir: string, options: RolloutOptions): Promise<Rollout[]> {
  const dir = path.resolve(runDir);
  const { spec, state } = await readRun(dir);
  if (!spec.policy) throw TillageError.user("no_policy", `${spec.name} is a run of ${spec.objective}, which draws no answers.`, "Name a run of grpo, rloo or ppo.");
  const asked = options.step === undefined ? undefined : Number(options.step);
  if (asked !== undefined && !(Number.isInteger(asked) && asked > 0)) throw TillageError.user("bad_option", `--step ${options.step ?? ""} is no step.`, "Give a step's number, from 1.");
  const step = asked ?? (options.row === undefined ? state.step : undefined);
  const found = await rolloutsOf(dir, { ...(step === undefined ? {} : { step }), ...(options.row === undefined ? {} : { rowId: options.row }) });
  const { out } = context;
  if (found.length === 0) out.say(`There are no answers${step === undefined ? "" : ` of step ${step}`}${options.row === undefined ? "" : ` to ${options.row}`} in ${dir}.`);
  const prompts = out.json ? new Map<string, string>() : await promptsOf(context, dir, spec, [...new Set(found.map((answer) => answer.row_id))]);
  let last = "";
  for (const answer of found) {
    const head = `step ${answer.step}, ${answer.row_id}`;
    if (head !== last) {
      out.say(`${last === "" ? "" : "\n"}${pc.bold(head)}`);
      const prompt = prompts.get(answer.row_id);
      if (prompt !== undefined) out.say(`  ${indented(prompt, "  ")}`);
    }
    last = head;
    const parts = Object.entries(answer.rewards);
    const why = parts.length > 1 ? `: ${parts.map(([name, value]) => `${name} ${rounded(value)}`).join(", ")}` : "";
    const mark = answer.advantage > 0 ? pc.green("✓") : answer.advantage < 0 ? pc.red("✗") : "·";
    out.say(`  ${mark} ${pc.bold(rounded(answer.reward))}  ${answer.text.trim() === "" ? pc.dim("(empty)") : indented(answer.text.trim(), "    ")}${answer.ended ? "" : pc.dim(" (cut)")}`);
    out.say(pc.dim(`    advantage ${rounded(answer.advantage)}, ${plural(answer.tokens, "token")}${why}`));
  }
  return found;
}

/** What the answers were drawn to, by row; nothing of rows that are not in the dataset any more. */
async function promptsOf(context: Context, dir: string, spec: RunSpec, rowIds: string[]): Promise<Map<string, string>> {
  const dataset = datasetOf(dir, spec);
  if (dataset === undefined || rowIds.length === 0) return new Map();
  const rows = await context.corpus.rows({ dataset, rowIds }, context.signal);
  return new Map(rows.flatMap((row) => (typeof row.values["prompt"] === "string" ? [[row.rowId, row.values["prompt"]] as const] : [])));
}

function indented(text: string, by: string): string {
  return text.replaceAll("\n", `\n${by}`);
}

function rounded(value: number): string {
  return value.toFixed(3).replace(/\.?0+$/u, "");
}
