import { components } from "./components";
import type { StepCompiler } from "./context";
import { nearPairs } from "./near";

/** The row of a group that stays: the longest (the first of several), or the first. */
function order(keep: "longest" | "first"): string {
  return keep === "longest" ? "length(text) DESC, _n" : "_n";
}

/** Keeps one row of each group of duplicates; the receipts of the others name it. */
export const dedup: StepCompiler<"dedup"> = async (context, config) => {
  const { session, input, receipts, scratch } = context;
  if ("exact" in config) {
    const key = config.exact === "normalized" ? "till_normalize(text)" : "text";
    await session.run(
      `INSERT INTO ${receipts} SELECT _n, 'dropped', 'exact duplicate', NULL, kept, NULL FROM (SELECT _n, first(_n) OVER (PARTITION BY hash ORDER BY ${order(config.keep).replace("length(text)", "size")}) AS kept FROM (SELECT _n, md5(${key}) AS hash, length(text) AS size FROM ${input})) WHERE kept <> _n`,
    );
    return;
  }
  const pairs = scratch("pairs");
  const groups = scratch("groups");
  await nearPairs(session, input, config.near, context.seed, pairs);
  await components(session, `SELECT a, b FROM ${pairs} ORDER BY a, b`, groups);
  await session.run(
    `INSERT INTO ${receipts} SELECT d._n, 'dropped', 'near duplicate', round(till_jaccard(x.text, y.text, ${config.near.ngram}), 4)::VARCHAR, d.kept, NULL ` +
      `FROM (SELECT _n, first(_n) OVER (PARTITION BY root ORDER BY ${order(config.keep).replace("length(text)", "size")}) AS kept FROM (SELECT g._n, g.root, length(i.text) AS size FROM ${groups} g JOIN ${input} i USING (_n))) d ` +
      `JOIN ${input} x ON x._n = d._n JOIN ${input} y ON y._n = d.kept WHERE d.kept <> d._n`,
  );
};
