import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { DuckDBInstance, type DuckDBConnection, type DuckDBResultReader } from "@duckdb/node-api";
import { TillageError } from "../../protocol/errors";
import { findExtension } from "./extension";
import { cancelled, fromDuckDB } from "./failure";
import { list, literal, plainPath } from "./sql";

export type Value = string | number | boolean | null;
export type Row = Record<string, Value>;

/** Memory for a database beyond which it spills to the disk: enough for its threads (DuckDB asks for 125 MB each), and little enough that an editor and a model fit beside it. */
function memoryLimit(own: string | undefined): string {
  if (own !== undefined) return own;
  const given = process.env["TILLAGE_MEMORY"];
  if (given !== undefined && given !== "") return given;
  const gigabyte = 1e9;
  return `${Math.round(Math.min(Math.max(2 * gigabyte, os.availableParallelism() * 0.2 * gigabyte), os.totalmem() / 2) / 1e6)}MB`;
}

/** One DuckDB database in memory with our text functions; it spills to a folder of its own in the system's temporary folder. */
export class Database {
  private readonly scratch: string;
  private closed = false;

  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly main: DuckDBConnection,
    scratch: string,
  ) {
    this.scratch = scratch;
  }

  /**
   * @param options.memory a limit of its own, such as `400MB`, for a database whose work is known to need little
   * @param options.beside a DuckDB file whose tables are read as `beside.NAME`
   */
  static async open(extensionPath?: string, options: { memory?: string; beside?: string } = {}): Promise<Database> {
    const extension = findExtension(extensionPath);
    const scratch = mkdtempSync(path.join(os.tmpdir(), "tillage-"));
    const instance = await DuckDBInstance.create(":memory:", {
      allow_unsigned_extensions: "true",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      temp_directory: scratch,
      memory_limit: memoryLimit(options.memory),
    });
    const main = await instance.connect();
    try {
      await main.run(`LOAD ${literal(extension)}`);
      if (options.beside !== undefined) await main.run(`ATTACH ${literal(options.beside)} AS beside (READ_ONLY)`);
    } catch (error) {
      instance.closeSync();
      rmSync(scratch, { recursive: true, force: true });
      const message = error instanceof Error ? error.message : String(error);
      throw TillageError.environment("extension_refused", `DuckDB could not load Tillage's extension: ${message}`, "Build it again with 'npm run build', or reinstall the package for this platform.", { file: extension });
    }
    return new Database(instance, main, scratch);
  }

  /** From here on no query may touch the file system, but for the paths given; it cannot be undone. */
  async lock(allowedPaths: readonly string[] = [], allowedFolders: readonly string[] = []): Promise<void> {
    if (allowedPaths.length > 0) await this.main.run(`SET allowed_paths = ${list([...allowedPaths, ...allowedPaths.map(plainPath)])}`);
    if (allowedFolders.length > 0) await this.main.run(`SET allowed_directories = ${list(allowedFolders)}`);
    await this.main.run("SET enable_external_access = false");
    await this.main.run("SET lock_configuration = true");
  }

  /** Runs `work` on a connection of its own, so that cancelling it interrupts nothing else. */
  async session<T>(signal: AbortSignal | undefined, work: (session: Session) => Promise<T>): Promise<T> {
    if (this.closed) throw TillageError.internal("closed", "The database is closed.");
    if (signal?.aborted) throw cancelled();
    const connection = await this.instance.connect();
    // Interrupting once reaches only the statement that runs at that moment; the timer reaches the next one too.
    let timer: NodeJS.Timeout | undefined;
    const interrupt = () => {
      connection.interrupt();
      timer ??= setInterval(() => connection.interrupt(), 20);
    };
    signal?.addEventListener("abort", interrupt);
    try {
      return await work(new Session(connection, signal));
    } finally {
      signal?.removeEventListener("abort", interrupt);
      clearInterval(timer);
      connection.closeSync();
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.main.closeSync();
    this.instance.closeSync();
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

/** A connection for the length of one call. */
export class Session {
  constructor(
    readonly connection: DuckDBConnection,
    readonly signal?: AbortSignal,
  ) {}

  /** Runs statements whose results nobody wants. */
  async run(sql: string, values?: readonly Value[]): Promise<void> {
    await this.guard(() => this.connection.run(sql, values ? [...values] : undefined));
  }

  /** All rows of a query. 64-bit integers come as numbers; nested values as JSON text. */
  async rows<T extends Row = Row>(sql: string, values?: readonly Value[]): Promise<T[]> {
    const reader = await this.read(sql, values);
    const names = reader.deduplicatedColumnNames();
    return reader.getRowsJS().map((row) => Object.fromEntries(row.map((cell, i) => [names[i], toValue(cell)])) as T);
  }

  /** All rows of a query as lists, in the order of its columns. */
  async lists(sql: string, values?: readonly Value[]): Promise<Value[][]> {
    return (await this.read(sql, values)).getRowsJS().map((row) => row.map(toValue));
  }

  /** The one row of a query. */
  async one<T extends Row = Row>(sql: string, values?: readonly Value[]): Promise<T> {
    const [row] = await this.rows<T>(sql, values);
    if (!row) throw TillageError.internal("no_row", `A query that always has a row had none: ${sql}`);
    return row;
  }

  /** The result in chunks, each a list of columns, for results that are too large for one list of rows. */
  async chunks(sql: string, take: (columns: readonly (readonly unknown[])[]) => void): Promise<void> {
    await this.guard(async () => {
      const result = await this.connection.stream(sql);
      for (;;) {
        const chunk = await result.fetchChunk();
        if (!chunk || chunk.rowCount === 0) return;
        if (this.signal?.aborted) throw cancelled();
        take(chunk.getColumns());
      }
    });
  }

  private async read(sql: string, values?: readonly Value[]): Promise<DuckDBResultReader> {
    return this.guard(() => this.connection.runAndReadAll(sql, values ? [...values] : undefined));
  }

  private async guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.signal?.aborted) throw cancelled();
    try {
      return await work();
    } catch (error) {
      if (this.signal?.aborted) throw cancelled();
      throw fromDuckDB(error);
    }
  }
}

function toValue(cell: unknown): Value {
  if (cell === null || cell === undefined) return null;
  if (typeof cell === "string" || typeof cell === "number" || typeof cell === "boolean") return cell;
  if (typeof cell === "bigint") return Number(cell);
  if (cell instanceof Date) return cell.toISOString();
  return JSON.stringify(cell, (_key, value: unknown) => (typeof value === "bigint" ? Number(value) : value));
}
