import * as vscode from "vscode";
import { z } from "zod";
import { TillageError } from "../../protocol/errors";
import { pickDataset } from "../../vscode/datasets";
import { Owner } from "../../vscode/disposable";
import { openRow } from "../../vscode/open-row";
import type { Feature, Services } from "../../vscode/services";
import { showProblem } from "../../vscode/show-problem";
import { buildCommand } from "./build";
import { RecipeDiagnostics } from "./diagnostics";
import { RecipeLanguage } from "./language";
import { RecipeLenses } from "./lenses";
import { LiveCounts } from "./live-counts";
import { Mapping } from "./mapping";
import { Mixer } from "./mixer";
import { pathOf, pickRecipe } from "./pick";
import { Receipts } from "./receipts";
import type { ReceiptsOrigin } from "./receipts";
import { isRecipe, openRecipe } from "./selector";
import { SourceColumns } from "./source-columns";
import { sourceFiles } from "./source-files";
import { sourceRanges } from "./source-ranges";
import { Why } from "./why";
import type { BuildResult } from "../../protocol/corpus";

const stepSchema = z.object({ path: z.string().min(1), step: z.number().int().nonnegative(), text: z.string().optional() });

/** The recipe's editor, its mixer, the build, and the receipts of every row that left. */
class RecipeFeature extends Owner {
  private readonly live: LiveCounts;
  private readonly diagnostics: RecipeDiagnostics;
  private readonly columns: SourceColumns;
  private readonly mixers = new Map<string, Mixer>();
  private readonly mappings = new Map<string, Mapping>();
  private readonly receipts = new Map<ReceiptsOrigin["kind"], Receipts>();

  constructor(private readonly services: Services) {
    super();
    this.live = this.register(new LiveCounts(services.corpus));
    this.columns = new SourceColumns(services.corpus);
    this.diagnostics = this.register(new RecipeDiagnostics(this.live));
    this.register(new RecipeLenses(this.live));
    this.register(new RecipeLanguage(this.columns));
    this.register(new Why(services.corpus));
    this.command("tillage.recipe.build", (argument) => buildCommand(services.corpus, this.diagnostics, argument));
    this.command("tillage.recipe.mixer", (argument) => this.openMixer(argument));
    this.command("tillage.recipe.rows", (argument) => this.openStep(argument));
    this.command("tillage.recipe.raw", (argument, source) => this.openRaw(argument, source));
    this.command("tillage.recipe.map", (argument, source) => this.openMapping(argument, source));
    this.command("tillage.recipe.problem", (argument) => this.showFailure(argument));
    this.command("tillage.dataset.receipts", (argument) => this.openReceipts(argument));
    this.restore("mixer", z.object({ path: z.string().min(1) }), (state, panel) => this.mix(vscode.Uri.file(state.path), panel));
    this.restore("mapping", z.object({ path: z.string().min(1), source: z.string().min(1) }), (state, panel) => this.map(vscode.Uri.file(state.path), state.source, panel));
    this.restore("receipts", z.object({ dataset: z.string().min(1) }), (state, panel) => this.showReceipts({ kind: "dataset", dataset: state.dataset }, panel));
  }

  private command(name: string, run: (...args: unknown[]) => Promise<unknown>): void {
    this.register(vscode.commands.registerCommand(name, async (...args: unknown[]) => {
      try {
        return await run(...args);
      } catch (error) {
        await showProblem(error);
        return undefined;
      }
    }));
  }

  /** Panels come back after the window was reloaded; one whose state is not known any more goes. */
  private restore<T>(panel: string, schema: z.ZodType<T>, open: (state: T, view: vscode.WebviewPanel) => void): void {
    this.register(vscode.window.registerWebviewPanelSerializer(`tillage.${panel}`, {
      deserializeWebviewPanel: (view, state) => {
        const known = schema.safeParse(state);
        if (known.success) open(known.data, view);
        else view.dispose();
        return Promise.resolve();
      },
    }));
  }

  private mix(uri: vscode.Uri, restored?: vscode.WebviewPanel): void {
    const key = uri.toString();
    this.mixers.set(key, this.register(new Mixer(this.services, uri, this.columns, () => this.mixers.delete(key), restored)));
  }

  private async openMixer(argument: unknown): Promise<void> {
    const document = await pickRecipe(argument, "Recipe to mix");
    if (!document) return;
    const key = document.uri.toString();
    const open = this.mixers.get(key);
    if (open) {
      open.reveal();
      return;
    }
    // The text stays in view: sliders and text are two sides of one thing.
    if (!vscode.window.visibleTextEditors.some((editor) => editor.document === document)) await vscode.window.showTextDocument(document);
    this.mix(document.uri);
  }

  private map(uri: vscode.Uri, source: string, restored?: vscode.WebviewPanel): void {
    const key = `${uri.toString()} ${source}`;
    this.mappings.set(key, this.register(new Mapping(this.services, uri, source, () => this.mappings.delete(key), restored)));
  }

  private async openMapping(argument: unknown, given: unknown): Promise<void> {
    const document = await pickRecipe(argument, "Recipe whose source to map");
    if (!document) return;
    const names = sourceRanges(document.getText()).map((source) => source.name);
    const source = typeof given === "string" ? given : names.length === 1 ? names[0] : await vscode.window.showQuickPick(names, { placeHolder: "Source whose columns to map" });
    if (source === undefined) return;
    const open = this.mappings.get(`${document.uri.toString()} ${source}`);
    if (open) {
      open.reveal();
      return;
    }
    if (!vscode.window.visibleTextEditors.some((editor) => editor.document === document)) await vscode.window.showTextDocument(document);
    this.map(document.uri, source);
  }

  private async openStep(argument: unknown): Promise<void> {
    const given = stepSchema.safeParse(argument);
    const document = given.success
      ? (openRecipe(given.data.path) ?? (await vscode.workspace.openTextDocument(vscode.Uri.file(given.data.path))))
      : await pickRecipe(argument, "Recipe whose dropped rows to show");
    if (!document) return;
    const step = given.success ? given.data.step : await this.pickStep(document);
    if (step !== undefined) this.showReceipts({ kind: "step", document, step, text: given.data?.text });
  }

  private async pickStep(document: vscode.TextDocument): Promise<number | undefined> {
    const options = { location: vscode.ProgressLocation.Notification, title: "Counting rows", cancellable: true };
    const counts = await vscode.window.withProgress(options, (_progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      return this.services.corpus.counts({ path: document.uri.fsPath, text: document.getText() }, abort.signal);
    });
    const items = counts.steps.map((step) => ({ label: `${step.index + 1}. ${step.step}`, description: `in ${step.in} · out ${step.out} · ${step.changed} changed`, index: step.index }));
    return (await vscode.window.showQuickPick(items, { placeHolder: "Step" }))?.index;
  }

  private async openReceipts(argument: unknown): Promise<void> {
    const given = z.object({ dataset: z.string(), step: z.string().optional(), build: z.custom<BuildResult>().optional() }).safeParse(argument);
    const dataset = given.success ? given.data.dataset : await pickDataset(argument);
    if (dataset === undefined) return;
    this.showReceipts({ kind: "dataset", dataset, step: given.data?.step, build: given.data?.build });
  }

  private showReceipts(origin: ReceiptsOrigin, restored?: vscode.WebviewPanel): void {
    const open = this.receipts.get(origin.kind);
    if (open && !restored) open.show(origin);
    else this.receipts.set(origin.kind, this.register(new Receipts(this.services, origin, () => this.receipts.delete(origin.kind), restored)));
  }

  private async openRaw(argument: unknown, source: unknown): Promise<void> {
    const document = await pickRecipe(argument, "Recipe whose sources to open");
    if (!document) return;
    const all = await sourceFiles(document);
    const files = typeof source === "string" ? all.filter((file) => file.source === source) : all;
    if (files.length === 0) throw TillageError.user("no_source_file", "The recipe's sources name no file that exists.", "Correct the paths below sources; they are relative to the recipe.");
    const items = files.map((file) => ({ label: file.source, description: vscode.workspace.asRelativePath(file.path), path: file.path }));
    const picked = items.length === 1 ? items[0] : await vscode.window.showQuickPick(items, { placeHolder: "Source file to open", matchOnDescription: true });
    if (picked) await openRow(picked.path, 0);
  }

  private async showFailure(argument: unknown): Promise<void> {
    const file = pathOf(argument);
    const document = file === undefined ? undefined : openRecipe(file);
    if (!document || !isRecipe(document)) return;
    const { problem } = this.live.get(document);
    if (!problem) return;
    const again = "Count again";
    const choice = await vscode.window.showErrorMessage(`${problem.message} ${problem.remedy}`, again);
    if (choice === again) this.live.recount(document);
  }
}

export const register: Feature = (services) => new RecipeFeature(services);
