import { inList } from "../duckdb/sql";
import type { StepCompiler } from "./context";

/** Drops the rows in other languages, and those whose language is too uncertain. */
export const language: StepCompiler<"language"> = async ({ session, input, receipts }, config) => {
  await session.run(
    `INSERT INTO ${receipts} SELECT _n, 'dropped', CASE WHEN l.lang IS NULL THEN 'no language' WHEN l.lang NOT IN ${inList(config.keep)} THEN 'language ' || l.lang ELSE 'uncertain language' END, round(l.confidence, 4)::VARCHAR, NULL, NULL ` +
      `FROM (SELECT _n, till_language(text) AS l FROM ${input}) WHERE l.lang IS NULL OR l.lang NOT IN ${inList(config.keep)} OR l.confidence < ${config.min_confidence}`,
  );
};
