import { toProblem } from "../../src/protocol/errors";
import type { Problem } from "../../src/protocol/errors";

/** What a panel does with calls whose answer comes back as an update: `call` lets them go, `fail` shows what went wrong. */
export interface Reporting {
  fail: (error: unknown) => void;
  call: (work: Promise<unknown>) => void;
}

/** A cancelled call is what the person wanted, and is not shown. */
export function reporting(show: (problem: Problem) => void): Reporting {
  const fail = (error: unknown): void => {
    const problem = toProblem(error);
    if (problem.code !== "cancelled") show(problem);
  };
  return { fail, call: (work) => void work.catch(fail) };
}
