import { createHash, randomUUID } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Database } from "../duckdb/session";
import { ident, literal, parquet } from "../duckdb/sql";
import { extensionHash } from "../duckdb/extension";
import { cancelled } from "../duckdb/failure";
import type { CorpusFile } from "./corpus-file";

/** Rows of a piece: some seconds of work, which is what a crash or a cancel costs. */
const pieceRows = 131_072;
/** Rows that a thread computes between two looks at whether somebody waits: about a third of a second. */
const strideRows = 4096;
/** Memory for computing them. */
const memory = "300MB";
/** Memory for reading them. */
const storeMemory = "200MB";

/**
 * A corpus' small columns and those that Tillage computes, in files beside it: computed once, in the background, in pieces by position. What is
 * there stays when the program ends and is found by the next one, also by another that has the corpus open.
 */
export class Side {
  private readonly pieces: number;
  private readonly stem: string;
  private have = 0;
  private working: Promise<void> | undefined;
  private readonly stop = new AbortController();
  /** Questions that are being answered; the work waits for them between its pieces. */
  private questions = 0;
  private opening: Promise<Database> | undefined;
  /** All pieces as one table, `beside.side`, once they are there and it was asked for. */
  store: Database | undefined;
  /** Nothing is computed while this is set. */
  paused = false;

  constructor(
    private readonly file: CorpusFile,
    private readonly extensionPath: string | undefined,
  ) {
    this.pieces = Math.ceil(file.rows.count / pieceRows);
    // Another version of the text functions gives other values: it gets other files.
    const key = createHash("sha256").update(JSON.stringify([file.small, file.derived(), pieceRows, extensionHash(extensionPath)])).digest("hex").slice(0, 12);
    this.stem = path.join(file.imported.folder, `side-${key}`);
    this.count();
  }

  /** A file beside the pieces, for what is made of them. */
  place(name: string): string {
    return `${this.stem}-${name}`;
  }

  /** Rows, from the first on, whose columns are there. */
  get done(): number {
    return Math.min(this.have * pieceRows, this.file.rows.count);
  }

  get ready(): boolean {
    return this.have === this.pieces;
  }

  /** Waits until all is there. The work goes on when a caller is cancelled; the next one finds it further on. */
  async whenReady(signal?: AbortSignal): Promise<void> {
    if (this.ready) return;
    this.working ??= this.work().finally(() => (this.working = undefined));
    await abortable(this.working, signal);
  }

  /** While a question is being answered no new piece is begun. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.questions++;
    try {
      return await work();
    } finally {
      this.questions--;
    }
  }

  /** The small columns of the rows from `from` to `to`, which are there, as a query. */
  range(from: number, to: number): string {
    const first = Math.floor(from / pieceRows);
    const last = Math.max(first + 1, Math.ceil(to / pieceRows));
    const files = Array.from({ length: last - first }, (_, i) => this.piece(first + i));
    const whole = from === first * pieceRows && (to === last * pieceRows || to === this.file.rows.count);
    return `SELECT * FROM ${parquet(files)}${whole ? "" : ` WHERE _tillage_pos >= ${from} AND _tillage_pos < ${to}`}`;
  }

  /** All pieces as one table in a database of its own, which is read several times as fast as they are. */
  async whole(): Promise<Database> {
    await this.whenReady();
    this.opening ??= this.open().catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
    return this.opening;
  }

  async close(): Promise<void> {
    this.stop.abort();
    await Promise.allSettled([this.working, this.opening]);
    this.store?.close();
  }

  private async open(): Promise<Database> {
    const target = this.place("all.duckdb");
    if (!existsSync(target)) {
      const temporary = `${target}.${randomUUID()}.tmp`;
      const database = await Database.open(this.extensionPath, { memory });
      try {
        await database.session(this.stop.signal, async (session) => {
          await session.run(`ATTACH ${literal(temporary)} AS made`);
          await session.run(`CREATE TABLE made.side AS ${this.range(0, this.file.rows.count)}`);
          await session.run("DETACH made");
        });
        renameSync(temporary, target);
      } finally {
        database.close();
        for (const left of [temporary, `${temporary}.wal`]) rmSync(left, { force: true });
      }
    }
    this.store = await Database.open(this.extensionPath, { memory: storeMemory, beside: target });
    await this.store.lock([target]);
    return this.store;
  }

  private piece(chunk: number): string {
    return `${this.stem}-${chunk}.parquet`;
  }

  /** Pieces that are there, from the first on. */
  private count(): number {
    while (this.have < this.pieces && existsSync(this.piece(this.have))) this.have++;
    return this.have;
  }

  private async work(): Promise<void> {
    const database = await Database.open(this.extensionPath, { memory });
    try {
      while (this.count() < this.pieces) await this.write(database, this.have);
    } finally {
      database.close();
    }
  }

  /** Until nothing is asked for; a person who asks without end does not stop the work for ever. */
  private async quiet(): Promise<void> {
    for (let waited = 0; this.paused || (this.questions > 0 && waited < 100); waited++) {
      if (this.stop.signal.aborted) throw cancelled();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Each thread takes stretch after stretch: DuckDB itself would take whole row groups, and nobody could come between. */
  private async write(database: Database, piece: number): Promise<void> {
    const { file } = this;
    const columns = ["_tillage_pos", "_tillage_row", ...file.small.map(({ name }) => ident(name))].join(", ");
    const end = Math.min((piece + 1) * pieceRows, file.rows.count);
    let next = piece * pieceRows;
    const temporary = `${this.piece(piece)}.${randomUUID()}.tmp`;
    try {
      await database.session(this.stop.signal, async (session) => {
        await session.run(`CREATE OR REPLACE TABLE piece AS SELECT ${columns} FROM (${file.computed(0, 0)})`);
        const thread = () =>
          database.session(this.stop.signal, async (own) => {
            while (next < end) {
              await this.quiet();
              const from = next;
              next = Math.min(from + strideRows, end);
              if (from < end) await own.run(`INSERT INTO piece SELECT ${columns} FROM (${file.computed(from, Math.min(from + strideRows, end))})`);
            }
          });
        await Promise.all(Array.from({ length: os.availableParallelism() }, thread));
        await session.run(`COPY (SELECT * FROM piece ORDER BY _tillage_pos) TO ${literal(temporary)} (FORMAT parquet, COMPRESSION zstd)`);
      });
      renameSync(temporary, this.piece(piece));
    } finally {
      rmSync(temporary, { force: true });
    }
  }
}

/** The same promise, which rejects as cancelled when the caller does not want it any more; the work itself goes on. */
export function abortable<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(cancelled());
    };
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", abort);
    });
  });
}
