import path from "node:path";
import type { BuildProgress, BuildResult, CorpusApi, DatasetExport, FacetCounts, GuardResult, MixTable, OpenResult, Page, Query, ReceiptRow, RecipeCounts, RowDetail, Stats } from "../protocol/corpus";
import type { DatasetDiff } from "../protocol/dataset-diff";
import { readText } from "../disk/read-text";
import { TillageError } from "../protocol/errors";
import { Browser } from "./browse/browser";
import { CorpusFile } from "./browse/corpus-file";
import { build } from "./build/build";
import { datasetDiff } from "./build/diff";
import { exportDataset } from "./build/export";
import { settleOnCancel } from "./duckdb/failure";
import { datasetGuards, datasetReceipts, datasetRows, type DatasetRow } from "./build/dataset";
import { RecipeSessions } from "./pipeline/sessions";

export interface CorpusOptions {
  /** Path of `tillage.duckdb_extension`, or a folder that has it (itself, in `native/` or in `dist/native/`); found beside the bundle when absent. */
  extensionPath?: string;
}

/** The corpus service: everything that needs DuckDB. Runs in a child of its own in the editor, in the process itself on the command line. */
export class CorpusService implements CorpusApi {
  private readonly browsers = new Map<string, Browser>();
  private readonly recipes: RecipeSessions;
  private serial = 0;

  constructor(private readonly options: CorpusOptions = {}) {
    this.recipes = new RecipeSessions(options.extensionPath);
  }

  private browser(handle: string): Browser {
    const found = this.browsers.get(handle);
    if (found) return found;
    throw TillageError.user("unknown_handle", "This file is not open in the corpus service any more.", "Open it again.");
  }

  private async openFile(file: string, signal?: AbortSignal): Promise<Browser> {
    const handle = `${process.pid}-${++this.serial}`;
    return new Browser(await CorpusFile.open(path.resolve(file), handle, this.options.extensionPath, signal), this.options.extensionPath);
  }

  async open(params: { path: string }, signal?: AbortSignal): Promise<OpenResult> {
    const opening = this.openFile(params.path, signal);
    const browser = await settleOnCancel(opening, signal).catch((error: unknown) => {
      // It may come to be open after the caller was told that it was cancelled.
      opening.then((late) => late.close()).catch(() => undefined);
      throw error;
    });
    this.browsers.set(browser.file.handle, browser);
    return browser.file.result();
  }

  close(params: { handle: string }): Promise<null> {
    this.browsers.get(params.handle)?.close();
    this.browsers.delete(params.handle);
    return Promise.resolve(null);
  }

  async page(params: Parameters<CorpusApi["page"]>[0], signal?: AbortSignal): Promise<Page> {
    return settleOnCancel(this.browser(params.handle).page(params.query, params.offset, params.limit, { partial: params.partial }, signal), signal);
  }

  async facets(params: Parameters<CorpusApi["facets"]>[0], signal?: AbortSignal): Promise<FacetCounts> {
    return settleOnCancel(this.browser(params.handle).facets(params.query, { partial: params.partial, pause: params.pause }, signal), signal);
  }

  async detail(params: { handle: string; row: number }, signal?: AbortSignal): Promise<RowDetail> {
    return settleOnCancel(this.browser(params.handle).detail(params.row, signal), signal);
  }

   
  async predicate(params: { handle: string; query: Query }): Promise<{ sql: string }> {
    return this.browser(params.handle).predicate(params.query);
  }

  async stats(params: { path: string }, signal?: AbortSignal): Promise<Stats> {
    const work = async () => {
      const browser = await this.openFile(params.path, signal);
      try {
        return await browser.stats(signal);
      } finally {
        browser.close();
      }
    };
    return settleOnCancel(work(), signal);
  }

  async counts(params: { path: string; text: string }, signal?: AbortSignal): Promise<RecipeCounts> {
    return settleOnCancel(this.recipes.counts(path.resolve(params.path), params.text, signal), signal);
  }

  async mix(params: { path: string; text: string }, signal?: AbortSignal): Promise<MixTable> {
    return settleOnCancel(this.recipes.mix(path.resolve(params.path), params.text, signal), signal);
  }

  async dropped(params: { path: string; text: string; step: number; limit: number }, signal?: AbortSignal): Promise<ReceiptRow[]> {
    return settleOnCancel(this.recipes.dropped(path.resolve(params.path), params.text, params.step, params.limit, signal), signal);
  }

  async build(params: Parameters<CorpusApi["build"]>[0], signal?: AbortSignal, progress?: (p: BuildProgress) => void): Promise<BuildResult> {
    const file = path.resolve(params.path);
    return settleOnCancel(build({ path: file, text: params.text ?? readText(file, "recipe"), skipSteps: params.skipSteps, evals: params.evals, root: params.root, extensionPath: this.options.extensionPath, signal, progress }), signal);
  }

  async receipts(params: { dataset: string; rowId?: string; step?: string; limit: number }, signal?: AbortSignal): Promise<ReceiptRow[]> {
    return settleOnCancel(datasetReceipts(params, this.options.extensionPath, signal), signal);
  }

  async rows(params: { dataset: string; rowIds: string[] }, signal?: AbortSignal): Promise<DatasetRow[]> {
    return settleOnCancel(datasetRows(params, this.options.extensionPath, signal), signal);
  }

  async diff(params: Parameters<CorpusApi["diff"]>[0], signal?: AbortSignal): Promise<DatasetDiff> {
    return settleOnCancel(datasetDiff(params, this.options.extensionPath, signal), signal);
  }

  async exportDataset(params: Parameters<CorpusApi["exportDataset"]>[0], signal?: AbortSignal): Promise<DatasetExport> {
    return settleOnCancel(exportDataset(params, this.options.extensionPath, signal), signal);
  }

  async guards(params: Parameters<CorpusApi["guards"]>[0], signal?: AbortSignal): Promise<GuardResult[]> {
    return settleOnCancel(datasetGuards(params, this.options.extensionPath, signal), signal);
  }

  dispose(): void {
    for (const browser of this.browsers.values()) browser.close();
    this.browsers.clear();
    this.recipes.dispose();
  }
}
