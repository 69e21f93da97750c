import { bindPredicate, runPredicate } from "../predicate";
import type { StepCompiler } from "./context";

/** Drops the rows for which the predicate is false or NULL. */
export const where: StepCompiler<"where"> = async ({ session, input, receipts, recipe }, predicate) => {
  await bindPredicate(session, predicate, input, recipe);
  await runPredicate(recipe, () =>
    session.run(`INSERT INTO ${receipts} SELECT _n, 'dropped', CASE WHEN kept IS NULL THEN 'predicate is NULL' ELSE 'predicate is false' END, NULL, NULL, NULL FROM (SELECT _n, (\n${predicate}\n)::BOOLEAN AS kept FROM ${input}) WHERE kept IS DISTINCT FROM true`),
  );
};
