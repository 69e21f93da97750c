import type { Session } from "../duckdb/session";

/** Disjoint sets over row numbers; the root of a set is its smallest member, whatever the order of the unions. */
class DisjointSets {
  private readonly parent = new Map<number, number>();

  find(item: number): number {
    let root = item;
    for (let next = this.parent.get(root); next !== undefined && next !== root; next = this.parent.get(root)) root = next;
    for (let current = item; current !== root; ) {
      const next = this.parent.get(current) ?? root;
      this.parent.set(current, root);
      current = next;
    }
    return root;
  }

  union(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    this.parent.set(Math.max(x, y), Math.min(x, y));
    if (!this.parent.has(Math.min(x, y))) this.parent.set(Math.min(x, y), Math.min(x, y));
  }

  *members(): Iterable<[number, number]> {
    for (const item of this.parent.keys()) yield [item, this.find(item)];
  }
}

/** Writes the connected components of the edges `a, b` that a query gives: `table(_n BIGINT, root BIGINT)`, members of components only. */
export async function components(session: Session, edges: string, table: string): Promise<void> {
  const sets = new DisjointSets();
  await session.chunks(edges, ([a, b]) => a?.forEach((from, i) => sets.union(Number(from), Number(b?.[i]))));
  await session.run(`CREATE TABLE ${table} (_n BIGINT, root BIGINT)`);
  const appender = await session.connection.createAppender(table);
  for (const [item, root] of sets.members()) {
    appender.appendBigInt(BigInt(item));
    appender.appendBigInt(BigInt(root));
    appender.endRow();
  }
  appender.closeSync();
}
