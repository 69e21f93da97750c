import type { StepOp } from "../../core/steps/plan";
import type { Session } from "../duckdb/session";
import { bindPredicate, runPredicate, type PredicatePlace } from "../predicate";
import { components } from "./components";

/** Runs operations in their order. `input` is the view that predicates are checked against, `place` where their text stands. */
export async function runOps(session: Session, ops: readonly StepOp[], input = "", place: PredicatePlace = {}): Promise<void> {
  for (const op of ops) {
    if ("predicate" in op) await bindPredicate(session, op.predicate, input, place);
    else if ("components" in op) await components(session, op.components, op.into);
    else if ("each" in op) for (const [value] of await session.lists(op.each)) await runOps(session, op.plan(Number(value)), input, place);
    else if (op.user) await runPredicate(place, () => session.run(op.sql));
    else await session.run(op.sql);
  }
}
