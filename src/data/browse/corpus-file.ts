import { randomUUID } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import type { Column, ColumnKind, OpenResult } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { derivedColumns, derivedSql } from "../derived";
import { Database, type Session } from "../duckdb/session";
import { ident, literal, parquet } from "../duckdb/sql";
import { rolesOf } from "../../core/dataset";
import { normalSql } from "../sources/normalize";
import { isNested } from "../sources/read";
import { importFile, versionOf, type Imported } from "./import";

/** Rows from which the kind of a column is told. */
const sampleRows = 50_000;
/** A text column is a category with at most so many different values, none of them long on average. */
const categoryValues = 1000;
const categoryLength = 64;

/**
 * An open file: the view `file` over its Parquet form (`_tillage_pos`, `_tillage_row` and its columns), the view `seen` with `text` and the derived columns
 * beside them, and, once it is ready, the table `cols` of all columns but the long texts, which facets and filters run on.
 */
export class CorpusFile {
  readonly columns: Column[];
  /** A row's whole text as SQL over `file`. */
  readonly text: string;
  private readonly derivedTemporary: string;
  private ready: Promise<void> | undefined;
  private readonly stop = new AbortController();
  /** Whether `cols` is there. */
  prepared = false;

  private constructor(
    readonly path: string,
    readonly handle: string,
    readonly database: Database,
    readonly imported: Imported,
    kinds: ReadonlyMap<string, ColumnKind>,
  ) {
    const own = imported.columns.map((column): Column => ({ ...column, kind: kinds.get(column.name) ?? "text", derived: false }));
    const taken = new Set(own.map((column) => column.name));
    this.columns = [...own, ...derivedColumns.filter((column) => !taken.has(column.name)).map((column): Column => ({ ...column, derived: true }))];
    this.text = wholeText(imported);
    this.derivedTemporary = `${imported.derivedFile}.${randomUUID()}.tmp`;
  }

  static async open(path: string, handle: string, extensionPath: string | undefined, signal?: AbortSignal): Promise<CorpusFile> {
    const imported = await importFile(path, extensionPath, signal);
    const database = await Database.open(extensionPath);
    try {
      return await database.session(signal, async (session) => {
        const columns = imported.columns.map((column) => (column.type === "JSON" ? `to_json(${ident(column.name)}) AS ${ident(column.name)}` : ident(column.name)));
        const row = imported.format === "parquet" ? "file_row_number AS _tillage_row" : "_tillage_row";
        await session.run(`CREATE VIEW file AS SELECT file_row_number AS _tillage_pos, ${row}, ${columns.join(", ")} FROM ${parquet([imported.rowsFile], "file_row_number = true")}`);
        const file = new CorpusFile(path, handle, database, imported, await columnKinds(session, imported));
        const sees = file.derived().map(([name, sql]) => `${sql} AS ${ident(name)}`);
        const text = file.has("text") ? [] : [`${file.text} AS text`];
        await session.run(`CREATE VIEW computed AS SELECT *, ${[...text, ...sees].join(", ")} FROM file`);
        await database.lock([imported.rowsFile, imported.derivedFile, file.derivedTemporary]);
        return file;
      });
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** The derived columns with their SQL, without those that the file has itself. */
  derived(): [string, string][] {
    const names = new Set(this.columns.filter((column) => column.derived).map((column) => column.name));
    return Object.entries(derivedSql(this.text)).filter(([name]) => names.has(name));
  }

  has(column: string): boolean {
    return this.imported.columns.some((candidate) => candidate.name === column);
  }

  column(name: string): Column {
    const found = this.columns.find((column) => column.name === name);
    if (found) return found;
    throw TillageError.user("unknown_column", `There is no column '${name}'.`, `The columns are ${this.columns.map((column) => column.name).join(", ")}.`, { file: this.path });
  }

  /** Columns that `cols` has: all but long texts and nested values. */
  get small(): Column[] {
    return this.columns.filter((column) => column.kind !== "text" && column.kind !== "nested");
  }

  result(): OpenResult {
    const { format, rows, bytes, bad, badRows, version } = this.imported;
    const { own: _own, ...detection } = this.imported.detected;
    return { handle: this.handle, path: this.path, format, shape: detection.shape, detection, columns: this.columns, rows, bytes, bad, badRows, version };
  }

  /** Throws when the file is no longer what was opened: positions and counts would be of another file. */
  assertUnchanged(): void {
    if (versionOf(this.path) === this.imported.version) return;
    throw TillageError.user("file_changed", `${this.path} was changed since it was opened.`, "Open it again to see it as it is now.", { file: this.path });
  }

  /** Waits until `cols` is there. The work goes on when a caller is cancelled; the next one finds it done. */
  async prepare(signal?: AbortSignal): Promise<void> {
    this.ready ??= this.build().catch((error: unknown) => {
      this.ready = undefined;
      throw error;
    });
    if (this.prepared) return;
    await abortable(this.ready, signal);
  }

  private async build(): Promise<void> {
    await this.database.session(this.stop.signal, async (session) => {
      const { derivedFile } = this.imported;
      const derived = this.derived();
      if (!existsSync(derivedFile)) {
        const temporary = this.derivedTemporary;
        try {
          await session.run(`COPY (SELECT _tillage_pos, ${derived.map(([name]) => ident(name)).join(", ")} FROM computed ORDER BY _tillage_pos) TO ${literal(temporary)} (FORMAT parquet, COMPRESSION zstd)`);
          renameSync(temporary, derivedFile);
        } finally {
          rmSync(temporary, { force: true });
        }
      }
      const own = this.small.filter((column) => !column.derived).map((column) => `f.${ident(column.name)}`);
      const side = derived.map(([name]) => `d.${ident(name)}`);
      await session.run(`CREATE TABLE cols AS SELECT ${["f._tillage_pos", "f._tillage_row", ...own, ...side].join(", ")} FROM file f JOIN ${parquet([derivedFile])} d ON d._tillage_pos = f._tillage_pos ORDER BY f._tillage_pos`);
      const text = this.has("text") ? [] : [`${this.text} AS text`];
      // Only the derived columns are joined: `cols` holds the file's small columns too, and their names would be ambiguous.
      const computed = ["_tillage_pos", ...derived.map(([name]) => ident(name))].join(", ");
      await session.run(`CREATE VIEW seen AS SELECT ${["f.*", ...text, ...side].join(", ")} FROM file f JOIN (SELECT ${computed} FROM cols) d ON d._tillage_pos = f._tillage_pos`);
      this.prepared = true;
    });
  }

  close(): void {
    this.stop.abort();
    const done = () => this.database.close();
    if (this.ready && !this.prepared) this.ready.then(done, done);
    else done();
  }
}

function abortable(work: Promise<void>, signal?: AbortSignal): Promise<void> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(TillageError.user("cancelled", "Cancelled.", "Start it again when you want it."));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** A row's whole text: the shape's, or all of its texts one below the other. A dataset of several shapes has a `text` for every row. */
function wholeText(imported: Imported): string {
  const { own } = imported.detected;
  if (own) {
    const text = normalSql({ table: "file", columns: imported.columns, json: false, bad: [], badRows: 0 }, own).text;
    return own.shape !== "text" && imported.columns.some((column) => column.name === "text" && column.type === "VARCHAR") ? `coalesce(${text}, "text")` : text;
  }
  const texts = imported.columns.filter((column) => column.type === "VARCHAR").map((column) => ident(column.name));
  return texts.length > 0 ? `concat_ws(chr(10), ${texts.join(", ")})` : "''";
}

const numeric = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/;

async function columnKinds(session: Session, imported: Imported): Promise<Map<string, ColumnKind>> {
  const kinds = new Map<string, ColumnKind>();
  const { own } = imported.detected;
  const { label: _label, ...roles } = own ? rolesOf(own) : {};
  const texts = new Set<string>(Object.values(roles));
  const open = imported.columns.filter(({ name, type }) => {
    const kind: ColumnKind | undefined = numeric.test(type) ? "number" : type === "BOOLEAN" ? "boolean" : type === "JSON" || isNested(type) ? "nested" : texts.has(name) ? "text" : undefined;
    if (kind) kinds.set(name, kind);
    return kind === undefined;
  });
  if (open.length === 0) return kinds;
  const measures = open.flatMap(({ name }, i) => [`approx_count_distinct(${ident(name)}) AS d${i}`, `avg(length(${ident(name)}::VARCHAR)) AS l${i}`]);
  const measured = await session.one(`SELECT ${measures.join(", ")} FROM (SELECT * FROM file LIMIT ${sampleRows})`);
  open.forEach(({ name }, i) => kinds.set(name, Number(measured[`d${i}`]) <= categoryValues && Number(measured[`l${i}`] ?? 0) <= categoryLength ? "category" : "text"));
  return kinds;
}

