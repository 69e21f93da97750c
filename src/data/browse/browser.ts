import { describeRule, qualityRules } from "../../core/recipe";
import type { Cell, Facet, Page, PageRow, Query, RowDetail, Stats } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { derivedColumns, derivedSql } from "../derived";
import type { Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import { CorpusFile } from "./corpus-file";
import { Facets } from "./facets";
import { Filters, predicateSql } from "./filter";

/** Characters of a cell in the grid. */
const cellLength = 400;
/** Columns of one query for a page. */
const columnsAtOnce = 256;
/** Rows of a page at most. */
const maxPage = 1000;

/** An open file with everything that a panel asks of it. */
export class Browser {
  private readonly filters: Filters;
  private readonly facetsOf: Facets;
  private readonly totals = new Map<string, number>();

  constructor(readonly file: CorpusFile) {
    this.filters = new Filters(file);
    this.facetsOf = new Facets(file, this.filters);
    // Starts at once, so that the first facets wait for less; whoever needs it gets its error.
    file.prepare().catch(() => undefined);
  }

  private session<T>(signal: AbortSignal | undefined, work: (session: Session) => Promise<T>): Promise<T> {
    this.file.assertUnchanged();
    return this.file.database.session(signal, work);
  }

  /** A page of the rows that match. Without conditions it comes straight from the file and waits for nothing. */
  async page(query: Query, offset: number, limit: number, signal?: AbortSignal): Promise<Page> {
    const size = Math.min(limit, maxPage);
    const { rows } = this.file.imported;
    if (query.clauses.length === 0 && !query.sort) {
      const positions = Array.from({ length: Math.max(0, Math.min(size, rows - offset)) }, (_, i) => offset + i);
      return this.session(signal, async (session) => ({ rows: await this.cells(session, positions), total: rows }));
    }
    await this.file.prepare(signal);
    return this.session(signal, async (session) => {
      const where = await this.filters.where(session, query);
      const key = JSON.stringify(query.clauses);
      const total = this.totals.get(key) ?? (await session.one<{ n: number }>(`SELECT count(*) AS n FROM cols c WHERE ${where}`)).n;
      this.totals.set(key, total);
      const positions = await session.rows<{ pos: number }>(`SELECT c._tillage_pos AS pos FROM ${this.sorted(query)} LIMIT ${size} OFFSET ${offset}`.replace("$where", () => where));
      return { rows: await this.cells(session, positions.map((row) => row.pos)), total };
    });
  }

  private sorted(query: Query): string {
    if (!query.sort) return "cols c WHERE $where ORDER BY c._tillage_pos";
    const column = this.file.column(query.sort.column);
    const direction = query.sort.descending ? "DESC" : "ASC";
    const small = column.kind !== "text" && column.kind !== "nested";
    const from = small ? "cols c" : "cols c JOIN file f ON f._tillage_pos = c._tillage_pos";
    return `${from} WHERE $where ORDER BY ${small ? "c" : "f"}.${ident(column.name)} ${direction} NULLS LAST, c._tillage_pos`;
  }

  private async cells(session: Session, positions: readonly number[]): Promise<PageRow[]> {
    if (positions.length === 0) return [];
    const cell = (source: string, name: string, type: string) => (type === "VARCHAR" || type === "JSON" || /\[\]|STRUCT|MAP|TIME|DATE|UUID|BLOB|ENUM/.test(type) ? `left(${source}.${ident(name)}::VARCHAR, ${cellLength})` : `${source}.${ident(name)}`);
    const ready = this.file.prepared;
    const columns = this.file.columns.map((column) => cell(column.derived && ready ? "c" : "f", column.name, column.type));
    const from = ready ? "file f JOIN cols c ON c._tillage_pos = f._tillage_pos" : "computed f";
    const [low, high] = [Math.min(...positions), Math.max(...positions)];
    const which = high - low + 1 === positions.length ? `f._tillage_pos BETWEEN ${low} AND ${high}` : `f._tillage_pos IN (${positions.join(", ")})`;
    const found = new Map<number, PageRow>();
    // In groups: a query holds a vector of 2,048 values for each of its columns in each of its operators, whatever the rows asked for.
    for (let at = 0; at < columns.length; at += columnsAtOnce) {
      for (const [pos, row, ...cells] of await session.lists(`SELECT f._tillage_pos, f._tillage_row, ${columns.slice(at, at + columnsAtOnce).join(", ")} FROM ${from} WHERE ${which}`)) {
        const page = found.get(Number(pos)) ?? { row: Number(row), cells: [] };
        page.cells.push(...cells);
        found.set(Number(pos), page);
      }
    }
    return positions.flatMap((pos) => found.get(pos) ?? []);
  }

  async facets(query: Query, signal?: AbortSignal): Promise<Facet[]> {
    await this.file.prepare(signal);
    return this.session(signal, (session) => this.facetsOf.facets(session, query));
  }

  /** One row whole, with the signals of its text and the Gopher rules that it fails. */
  async detail(row: number, signal?: AbortSignal): Promise<RowDetail> {
    return this.session(signal, async (session) => {
      const columns = this.file.imported.columns.map((column) => `${ident(column.name)}${/VARCHAR|BOOLEAN|INT|DOUBLE|FLOAT/.test(column.type) && !/\[/.test(column.type) ? "" : "::VARCHAR"} AS ${ident(column.name)}`);
      const rules = qualityRules("gopher");
      const failed = rules.map((rule) => `CASE WHEN q.${rule.field} ${rule.op} ${rule.default} THEN true ELSE false END AS ${ident(`_rule_${rule.name}`)}`);
      const [found] = await session.rows(`SELECT ${[...columns, ...failed, "to_json(q)::VARCHAR AS _signals", "to_json(till_pii(_whole))::VARCHAR AS _pii", "till_language(_whole).confidence AS _confidence"].join(", ")} FROM (SELECT *, ${this.file.text} AS _whole, till_quality(${this.file.text}) AS q FROM file WHERE _tillage_row = ?)`, [row]);
      if (!found) throw this.noRow(row);
      const signals = JSON.parse(String(found._signals)) as Record<string, number>;
      const pii = JSON.parse(String(found._pii)) as { kind: string; value: string }[];
      const values = Object.fromEntries(this.file.imported.columns.map((column): [string, Cell] => [column.name, found[column.name] ?? null]));
      return {
        row,
        ...(await this.neighbours(session, row)),
        values,
        signals: { ...signals, language_confidence: Number(found._confidence ?? 0) },
        failed: rules.filter((rule) => found[`_rule_${rule.name}`] === true).map((rule) => ({ rule: rule.name, reason: `${describeRule(rule)}: ${signals[rule.field]}` })),
        pii: pii.map(({ kind, value }) => ({ kind, value })),
      };
    });
  }

  /** A row's place among the good ones. Of Parquet every row is there. */
  private async neighbours(session: Session, row: number): Promise<Pick<RowDetail, "position" | "previous" | "next">> {
    const { format, rows } = this.file.imported;
    if (format === "parquet") return { position: row, previous: row > 0 ? row - 1 : null, next: row + 1 < rows ? row + 1 : null };
    return session.one(`SELECT count(*) FILTER (_tillage_row < ${row}) AS position, max(_tillage_row) FILTER (_tillage_row < ${row}) AS previous, min(_tillage_row) FILTER (_tillage_row > ${row}) AS next FROM file`);
  }

  private noRow(row: number): TillageError {
    const bad = this.file.imported.bad.find((one) => one.line === row + 1);
    const message = bad ? `Line ${bad.line} of ${this.file.path} is no row: ${bad.reason}.` : `There is no row ${row} in ${this.file.path}.`;
    return TillageError.user("no_row", message, bad ? "Mend the line, or choose another one." : "Open the file again.", { file: this.file.path, ...(bad ? { line: bad.line } : {}) });
  }

  predicate(query: Query): { sql: string } {
    this.file.assertUnchanged();
    return { sql: predicateSql(this.file, query) };
  }

  /** What `tillage stats` prints. */
  async stats(signal?: AbortSignal): Promise<Stats> {
    await this.file.prepare(signal);
    return this.session(signal, async (session) => {
      const { imported } = this.file;
      const columns: Stats["columns"] = [];
      for (const { name, type } of imported.columns) {
        const text = type === "VARCHAR" || type === "JSON";
        const length = (call: string) => (text ? `${call}(length(${ident(name)}::VARCHAR))` : "NULL");
        const row = await session.one<{ nulls: number; distinct: number; low: number | null; mean: number | null; high: number | null }>(
          `SELECT count(*) - count(${ident(name)}) AS nulls, count(DISTINCT ${ident(name)}::VARCHAR) AS "distinct", ${length("min")} AS low, ${length("avg")} AS mean, ${length("max")} AS high FROM file`,
        );
        columns.push({ name, type, nulls: row.nulls, distinct: row.distinct, minLength: row.low, meanLength: row.mean, maxLength: row.high });
      }
      // What the file has under a derived column's name itself is not what is asked for here: then it is computed.
      const has = (name: string) => this.file.columns.some((column) => column.derived && column.name === name);
      const computed = Object.entries(derivedSql(this.file.text)).filter(([name]) => !has(name)).map(([name, sql]) => `, ${sql} AS ${name}`);
      const side = derivedColumns.filter(({ name }) => has(name)).map(({ name }) => name);
      const kept = `(SELECT ${["_tillage_pos AS _side", ...side].join(", ")} FROM cols)`;
      const from = `(SELECT ${side.map((name) => `c.${name}`).join(", ")}${computed.join("")} FROM (SELECT * EXCLUDE (_tillage_row) FROM file) f JOIN ${kept} c ON c._side = f._tillage_pos)`;
      const tally = (column: string, as: string) => session.rows<{ rows: number } & Record<string, string | number>>(`SELECT ${column} AS ${as}, count(*) AS rows FROM ${from} GROUP BY 1 ORDER BY 2 DESC, 1`);
      const { doubles } = await session.one<{ doubles: number }>(`SELECT count(*) - count(DISTINCT md5(till_normalize(${this.file.text}))) AS doubles FROM file`);
      return {
        path: this.file.path,
        shape: imported.detected.shape,
        rows: imported.rows,
        bad: imported.bad,
        badRows: imported.badRows,
        columns,
        words: (await session.one<{ words: number }>(`SELECT coalesce(sum(words), 0) AS words FROM ${from}`)).words,
        languages: (await tally("language", "lang")).map((row) => ({ lang: String(row.lang), rows: row.rows })),
        exactDuplicates: doubles,
        pii: await session.rows<{ kind: string; rows: number }>(`SELECT kind, count(*) AS rows FROM (SELECT unnest(list_distinct(list_transform(till_pii(${this.file.text}), lambda f: f.kind))) AS kind FROM file) GROUP BY 1 ORDER BY 2 DESC, 1`),
        quality: (await tally("quality", "reason")).map((row) => ({ reason: String(row.reason), rows: row.rows })),
      };
    });
  }

  close(): void {
    this.file.close();
  }
}
