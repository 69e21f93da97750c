"""Precision and recall of near-duplicate groups against the exact Jaccard similarity of all pairs.

    python bench/data/score_near.py --corpus DIR --dataset DATASET [--threshold 0.8]

DIR holds corpus.parquet (id, text) and pairs.parquet (a, b, j: every pair with its exact Jaccard similarity of word 5-grams, from 0.5 up).
DATASET was built of it by one step `dedup: { near: { threshold }, keep: first }`. A pair at or above the threshold is found when both rows are in one
group; a row was rightly dropped when it has such a partner. Needs the package duckdb.
"""

import argparse
import duckdb

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--corpus", required=True)
arguments.add_argument("--dataset", required=True)
arguments.add_argument("--threshold", type=float, default=0.8)
a = arguments.parse_args()

c = duckdb.connect()
c.execute(f"create table ids as select file_row_number as n, id from read_parquet('{a.corpus}/corpus.parquet', file_row_number = true)")
c.execute(f"create table dropped as select file_row as n, matched_row_id as kept from '{a.dataset}/receipts.parquet' where reason = 'near duplicate'")
c.execute(f"create table kept as select _row_id as row_id, _file_row as n from read_parquet('{a.dataset}/train-*.parquet')")
c.execute("create table groups as select i.id, coalesce(d.kept, k.row_id) as g from ids i left join dropped d using (n) left join kept k using (n)")
c.execute(f"create table pairs as select * from '{a.corpus}/pairs.parquet' where j >= {a.threshold}")
wanted, found = c.sql("select count(*), count(*) filter (x.g = y.g) from pairs p join groups x on x.id = p.a join groups y on y.id = p.b").fetchall()[0]
dropped, right = c.sql("select count(*), count(*) filter (i.id in (select a from pairs union select b from pairs)) from dropped d join ids i using (n)").fetchall()[0]
print(f"pairs at {a.threshold} or above: {wanted}, found {found}, recall {found / wanted:.4f}; rows dropped: {dropped}, of them with a partner {right}, precision {right / max(1, dropped):.4f}")
