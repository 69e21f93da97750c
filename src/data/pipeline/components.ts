import type { Session } from "../duckdb/session";

/** Disjoint sets over row numbers below a bound; the root of a set is its smallest member, whatever the order of the unions. */
class DisjointSets {
  private readonly parent: Int32Array;

  constructor(size: number) {
    this.parent = Int32Array.from({ length: size }, (_, i) => i);
  }

  find(item: number): number {
    const { parent } = this;
    let root = item;
    while (parent[root] !== root) root = parent[root]!;
    for (let current = item; current !== root; ) {
      const next = parent[current]!;
      parent[current] = root;
      current = next;
    }
    return root;
  }

  union(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    this.parent[Math.max(x, y)] = Math.min(x, y);
  }
}

/** Writes the connected components of the edges `a, b` that a query gives: `table(_n BIGINT, root BIGINT)`, members of components only. */
export async function components(session: Session, edges: string, table: string): Promise<void> {
  const found = `${table}_edges`;
  await session.run(`CREATE TABLE ${found} AS ${edges}`);
  const { bound } = await session.one<{ bound: number }>(`SELECT coalesce(max(greatest(a, b)), -1) + 1 AS bound FROM ${found}`);
  const sets = new DisjointSets(bound);
  const members = new Uint8Array(bound);
  await session.chunks(`SELECT a::DOUBLE, b::DOUBLE FROM ${found}`, ([a, b]) =>
    a?.forEach((from, i) => {
      const to = b?.[i] as number;
      sets.union(from as number, to);
      members[from as number] = members[to] = 1;
    }),
  );
  await session.run(`DROP TABLE ${found}; CREATE TABLE ${table} (_n BIGINT, root BIGINT)`);
  const [name, schema] = table.split(".").reverse();
  const appender = await session.connection.createAppender(name ?? table, schema);
  for (let item = members.indexOf(1); item >= 0; item = members.indexOf(1, item + 1)) {
    appender.appendBigInt(BigInt(item));
    appender.appendBigInt(BigInt(sets.find(item)));
    appender.endRow();
  }
  appender.closeSync();
}
