import path from "node:path";
import pc from "picocolors";
import { plural } from "../../core/format";
import { TillageError } from "../../protocol/errors";
import type { Rollout } from "../../protocol/native.gen";
import { readRun } from "../../runtime/run-folder";
import { rolloutsOf } from "../../runtime/rollouts";
import type { Context } from "../context";

export interface RolloutOptions {
  step?: string;
  row?: string;
}

/** `tillage rollouts RUN_DIR`: the answers that a policy drew, with what they were worth; of the newest step where nothing is asked for. */
export async function rollouts(context: Context, runDir: string, options: RolloutOptions): Promise<Rollout[]> {
  const dir = path.resolve(runDir);
  const { state } = await readRun(dir);
  const asked = options.step === undefined ? undefined : Number(options.step);
  if (asked !== undefined && !(Number.isInteger(asked) && asked > 0)) throw TillageError.user("bad_option", `--step ${options.step ?? ""} is no step.`, "Give a step's number, from 1.");
  const step = asked ?? (options.row === undefined ? state.step : undefined);
  const found = await rolloutsOf(dir, { ...(step === undefined ? {} : { step }), ...(options.row === undefined ? {} : { rowId: options.row }) });
  const { out } = context;
  if (found.length === 0) out.say(`There are no answers${step === undefined ? "" : ` of step ${step}`}${options.row === undefined ? "" : ` to ${options.row}`} in ${dir}.`);
  let last = "";
  for (const answer of found) {
    const head = `step ${answer.step}, ${answer.row_id}`;
    if (head !== last) out.say(pc.bold(head));
    last = head;
    const parts = Object.entries(answer.rewards);
    const why = parts.length > 1 ? ` (${parts.map(([name, value]) => `${name} ${rounded(value)}`).join(", ")})` : "";
    out.say(`  ${pc.bold(rounded(answer.reward))}${why}  advantage ${rounded(answer.advantage)}  ${plural(answer.tokens, "token")}${answer.ended ? "" : ", cut"}`);
    out.say(`    ${answer.text.trim().replaceAll("\n", "\n    ")}`);
  }
  return found;
}

function rounded(value: number): string {
  return value.toFixed(3).replace(/\.?0+$/u, "");
}
