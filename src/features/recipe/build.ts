import path from "node:path";
import * as vscode from "vscode";
import { previousBuild } from "../../app/datasets";
import { formatDuration, plural } from "../../core/format";
import type { BuildProgress, BuildResult, CorpusApi, SourceReading } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { rootOf } from "../../vscode/root";
import { showProblem } from "../../vscode/show-problem";
import { trusted } from "../../vscode/trust";
import type { RecipeDiagnostics } from "./diagnostics";
import { pickRecipe } from "./pick";

/** Builds in progress, by recipe: a second request for the same one waits for the first. */
const running = new Map<string, Promise<BuildResult | undefined>>();

/** Builds a recipe's dataset with progress and Cancel; the result opens in the receipts panel. */
export async function buildCommand(corpus: CorpusApi, diagnostics: RecipeDiagnostics, argument: unknown): Promise<BuildResult | undefined> {
  try {
    if (!trusted("nothing is built in it")) return undefined;
    const document = await pickRecipe(argument, "Recipe to build");
    if (!document) return undefined;
    const key = document.uri.fsPath;
    const existing = running.get(key);
    if (existing) return await existing;
    const work = build(corpus, diagnostics, document).finally(() => running.delete(key));
    running.set(key, work);
    return await work;
  } catch (error) {
    await showProblem(error);
    return undefined;
  }
}

async function build(corpus: CorpusApi, diagnostics: RecipeDiagnostics, document: vscode.TextDocument): Promise<BuildResult | undefined> {
  // A dataset carries its recipe's hash: what is built is what is on disk, and in git.
  if (document.isDirty && !(await document.save())) {
    throw TillageError.environment("not_saved", `${path.basename(document.uri.fsPath)} could not be saved, so it was not built.`, "Save the recipe, then build again.");
  }
  const name = path.basename(document.uri.fsPath).replace(/\.recipe\.ya?ml$/, "");
  const options = { location: vscode.ProgressLocation.Notification, title: `Building ${name}`, cancellable: true };
  const result = await vscode.window.withProgress(options, async (progress, token) => {
    const abort = new AbortController();
    const cancel = token.onCancellationRequested(() => abort.abort());
    const meter = new StageMeter((message, increment) => progress.report({ message, increment }));
    try {
      return await corpus.build({ path: document.uri.fsPath, text: document.getText(), root: rootOf(document.uri.fsPath) }, abort.signal, (step) => meter.report(step));
    } finally {
      cancel.dispose();
    }
  });
  diagnostics.keepBadRows(document, result.sources.flatMap((source) => source.bad));
  await vscode.commands.executeCommand("tillage.dataset.receipts", { dataset: result.dataset, build: result });
  void announce(name, result, document.uri);
  return result;
}

/** Turns stages into VS Code's increments, which only ever add up. */
class StageMeter {
  private reached = 0;

  constructor(private readonly show: (message: string, increment: number) => void) {}

  report({ stage, done, of }: BuildProgress): void {
    const percent = of > 0 ? Math.min(100, (100 * done) / of) : 0;
    const increment = Math.max(0, percent - this.reached);
    this.reached += increment;
    this.show(of > 0 ? `${stage} (${done} of ${of})` : stage, increment);
  }
}

async function announce(name: string, result: BuildResult, recipe: vscode.Uri): Promise<void> {
  const failed = result.guards.filter((guard) => !guard.ok);
  const bad = result.sources.reduce((sum, source) => sum + source.badRows, 0);
  const text = buildSummary(name, result);
  const [unsure] = unsureSources(result);
  const previous = result.built ? previousBuild(result.dataset) : undefined;
  const actions = [...(previous === undefined ? [] : ["Compare with previous"]), ...(unsure ? ["Map columns"] : []), ...(bad > 0 ? ["Show Problems"] : []), "Mixer"];
  const choice = failed.length > 0 || bad > 0 || unsure
    ? await vscode.window.showWarningMessage(text, ...actions)
    : await vscode.window.showInformationMessage(text, ...actions);
  if (choice === "Compare with previous") await vscode.commands.executeCommand("tillage.dataset.compare", { before: previous, after: result.dataset });
  if (choice === "Map columns") await vscode.commands.executeCommand("tillage.recipe.map", recipe, unsure?.name);
  if (choice === "Mixer") await vscode.commands.executeCommand("tillage.recipe.mixer", recipe);
  if (choice === "Show Problems") await vscode.commands.executeCommand("workbench.actions.view.problems");
}

type Unsure = BuildResult["sources"][number] & { reading: SourceReading };

/** Sources that were read as something which their columns do not make sure. */
function unsureSources(result: BuildResult): Unsure[] {
  return result.sources.filter((source): source is Unsure => source.reading?.confidence === "unsure");
}

/** One sentence for each thing that a person wants to know after a build. */
export function buildSummary(name: string, result: BuildResult): string {
  const read = result.sources.reduce((sum, source) => sum + source.rows, 0);
  const kept = result.steps.at(-1)?.out ?? read;
  const bad = result.sources.reduce((sum, source) => sum + source.badRows, 0);
  const failed = result.guards.filter((guard) => !guard.ok);
  const first = result.built
    ? `${name}: ${plural(kept, "row")} kept of ${plural(read, "row")} read, in ${formatDuration(result.seconds)}.`
    : `${name} was built already: ${plural(kept, "row")} kept of ${plural(read, "row")} read.`;
  const rest = [
    ...unsureSources(result).map((source) => `'${source.name}' was read as ${source.reading.shape}, which is not sure.`),
    ...(bad > 0 ? [`${plural(bad, "row")} could not be read.`] : []),
    ...failed.map((guard) => `Guard ${guard.guard}: ${guard.message}`),
  ];
  return [first, ...rest].join(" ");
}
