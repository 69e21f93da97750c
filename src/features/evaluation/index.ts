import path from "node:path";
import * as vscode from "vscode";
import { z } from "zod";
import { evalDocs } from "../../core/eval/docs";
import { startOf } from "../../core/eval/pair";
import { parseEvalFile } from "../../core/eval/schema";
import { TillageError } from "../../protocol/errors";
import type { Feature, Services } from "../../vscode/services";
import { showProblem } from "../../vscode/show-problem";
import { trusted } from "../../vscode/trust";
import { YamlHelp } from "../../vscode/yaml-help";
import { askWithNotification } from "./ask";
import { ComparePanel } from "./compare-panel";
import { EvalLenses } from "./lenses";
import { openChanges, openDiff, OutputDocuments } from "./outputs";
import { isEvalFile, pickModel, pickTarget } from "./pick";
import type { EvalTarget } from "./pick";
import { EvalResults, modelsFor } from "./results";
import { ChangeThreads } from "./threads";

const PATTERN = "**/*.eval.{yaml,yml}";
const remembered = z.object({ file: z.string(), before: z.string().optional(), after: z.string().optional() });
const promptTarget = z.object({ file: z.string(), id: z.string(), before: z.string(), after: z.string() });

/** Evaluation: prompts put to models, the change beside each prompt, and before against after. */
export const register: Feature = (services) => new Evaluation(services);

class Evaluation implements vscode.Disposable {
  private readonly panels = new Set<ComparePanel>();
  private readonly results: EvalResults;
  private readonly threads: ChangeThreads;
  private readonly owned: vscode.Disposable[];

  constructor(private readonly services: Services) {
    this.results = new EvalResults(services.log);
    this.threads = new ChangeThreads(this.results);
    const lenses = new EvalLenses(this.results);
    this.owned = [
      this.results,
      this.threads,
      lenses,
      new OutputDocuments(this.results),
      new YamlHelp({ pattern: PATTERN, matches: isEvalFile, parse: parseEvalFile, docs: evalDocs }),
      vscode.languages.registerCodeLensProvider({ pattern: PATTERN, scheme: "file" }, lenses),
      this.command("tillage.eval.run", (argument) => this.run(argument)),
      this.command("tillage.eval.show", async (argument) => {
        const { file, id } = promptTarget.parse(argument);
        await this.threads.reveal(file, id);
      }),
      this.command("tillage.compare.open", async (argument) => {
        const target = await pickTarget(argument);
        if (target) await this.open(target.file).show(target);
      }),
      this.command("tillage.compare.openChanges", (argument) => this.changes(argument)),
      this.command("tillage.compare.openDiff", async (argument) => {
        const { file, id, before, after } = promptTarget.parse(argument);
        const compared = this.results.compare(file, before, after);
        if (compared) await openDiff(file, compared.comparison, id);
      }),
      vscode.window.registerWebviewPanelSerializer("tillage.compare", {
        deserializeWebviewPanel: async (view, state) => {
          const target = remembered.safeParse(state);
          if (target.success) await this.add(target.data.file, view).show(target.data, false);
          else view.dispose();
        },
      }),
    ];
  }

  dispose(): void {
    for (const panel of [...this.panels]) panel.dispose();
    for (const item of this.owned.splice(0).reverse()) item.dispose();
  }

  private command(name: string, run: (argument: unknown) => Promise<void>): vscode.Disposable {
    return vscode.commands.registerCommand(name, (argument: unknown) => run(argument).catch(showProblem));
  }

  /** Puts a file's prompts to a model that the user chooses, and says how it did. */
  private async run(argument: unknown): Promise<void> {
    if (!trusted("no model is asked in it")) return;
    const target = await pickTarget(argument);
    if (!target) return;
    const { file } = target;
    const models = modelsFor(file, this.results.of(file));
    const model = await pickModel(models, `Put the prompts of ${path.basename(file)} to which model?`);
    if (!model) return;
    const result = await askWithNotification(this.services, file, model.ref, model.label);
    this.results.forget();
    const compare = "Compare";
    const choice = await vscode.window.showInformationMessage(`${model.label}: ${result.correct} of ${result.of} right.`, compare);
    if (choice === compare) await this.open(file).show({ after: model.ref });
  }

  /** The multi-file diff; asks models that were not asked yet. */
  private async changes(argument: unknown): Promise<void> {
    const target = await pickTarget(argument);
    if (!target) return;
    const { file } = target;
    const pair = this.pairOf(target);
    if (!pair) throw TillageError.user("one_model", `${path.basename(file)} was put to fewer than two models.`, "Run the evaluation on two models: “Tillage: Run evaluation”.");
    for (const ref of [pair.before, pair.after]) {
      if (this.results.find(file, ref)) continue;
      if (!trusted("no model is asked in it")) return;
      await askWithNotification(this.services, file, ref, ref);
      this.results.forget();
    }
    const compared = this.results.compare(file, pair.before, pair.after);
    if (compared) await openChanges(file, compared.comparison);
  }

  private pairOf({ file, before, after }: EvalTarget): { before: string; after: string } | undefined {
    const latest = this.results.latest(file);
    if (after === undefined) return latest && { before: latest.before.model.ref, after: latest.after.model.ref };
    const models = modelsFor(file, this.results.of(file));
    const chosen = models.find((model) => model.ref === after);
    const start = before ?? (chosen && startOf(chosen, models)?.ref);
    return start === undefined ? undefined : { before: start, after };
  }

  private open(file: string): ComparePanel {
    const open = [...this.panels].find((panel) => panel.file === file);
    if (!open) return this.add(file);
    open.reveal();
    return open;
  }

  private add(file: string, restored?: vscode.WebviewPanel): ComparePanel {
    const panel: ComparePanel = new ComparePanel(this.services, this.results, file, restored, () => this.panels.delete(panel));
    this.panels.add(panel);
    return panel;
  }
}
