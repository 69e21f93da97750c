import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, expect } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { TillageError, type Problem } from "../../../src/protocol/errors";
import type { CorpusApi, ReceiptRow, RecipeCounts } from "../../../src/protocol/corpus";

export const fixtures = path.resolve("test/fixtures/corpora");

/** A workspace in a folder of its own, with copies of the fixtures that are named. */
export class Workspace {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), "tillage-test-"));

  constructor(...names: string[]) {
    mkdirSync(path.join(this.folder, ".tillage"));
    for (const name of names) cpSync(path.join(fixtures, name), this.at(name));
  }

  at(name: string): string {
    return path.join(this.folder, name);
  }

  write(name: string, content: string | Buffer): string {
    mkdirSync(path.dirname(this.at(name)), { recursive: true });
    writeFileSync(this.at(name), content);
    return this.at(name);
  }

  /** Writes rows as JSONL. */
  rows(name: string, rows: readonly object[]): string {
    return this.write(name, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }

  read(name: string): string {
    return readFileSync(this.at(name), "utf8");
  }

  async remove(): Promise<void> {
    // A service may still be writing its cache here: what appears meanwhile is removed by the next try.
    for (let attempt = 1; ; attempt++) {
      try {
        await rm(this.folder, { recursive: true, force: true });
        return;
      } catch (error) {
        if (attempt === 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

/** The problem that a call fails with. */
export async function problemOf(call: Promise<unknown>): Promise<Problem> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome, "the call was to fail").toBeInstanceOf(TillageError);
  return (outcome as TillageError).problem;
}

/** All rows of a built dataset's side, by reading its shards with the service itself. */
export async function datasetRows(corpus: CorpusApi, files: readonly string[]): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  for (const file of files) {
    const opened = await corpus.open({ path: file });
    const page = await corpus.page({ handle: opened.handle, query: { clauses: [] }, offset: 0, limit: 1000 });
    expect(page.rows.length).toBe(opened.rows);
    for (const row of page.rows) all.push(Object.fromEntries(opened.columns.map((column, i) => [column.name, row.cells[i]])));
    await corpus.close({ handle: opened.handle });
  }
  return all;
}

/** A recipe over one source, `s.jsonl`, whose steps are tried; it cleans up after itself. */
export class StepBench {
  static readonly head = "tillage: 1\nsources:\n  s: { files: s.jsonl }\nsteps:\n";
  readonly corpus = createLocalCorpus();
  workspace = new Workspace();

  constructor() {
    afterEach(() => this.workspace.remove());
    afterAll(() => this.corpus.dispose());
  }

  /** Makes these the source's rows; `names` are fixtures that are copied beside it. */
  rows(list: readonly object[], ...names: string[]): void {
    this.workspace = new Workspace(...names);
    this.workspace.rows("s.jsonl", list);
  }

  private params(steps: string): { path: string; text: string } {
    return { path: this.workspace.at("s.recipe.yaml"), text: StepBench.head + steps };
  }

  counts(steps: string): Promise<RecipeCounts> {
    return this.corpus.counts(this.params(steps));
  }

  /** The receipts of a step. */
  dropped(steps: string, step = 0, limit = 1000): Promise<ReceiptRow[]> {
    return this.corpus.dropped({ ...this.params(steps), step, limit });
  }

  /** The receipts of a built dataset and the rows that it has. */
  async built(steps: string): Promise<{ rows: Record<string, unknown>[]; receipts: ReceiptRow[] }> {
    const built = await this.corpus.build(this.params(steps));
    return { rows: await datasetRows(this.corpus, built.split[0]?.files ?? []), receipts: await this.corpus.receipts({ dataset: built.dataset, limit: 1000 }) };
  }

  /** What is wrong with a build. */
  problem(steps: string): Promise<Problem> {
    return problemOf(this.corpus.build(this.params(steps)));
  }
}
