import * as vscode from "vscode";
import { z } from "zod";
import { previousBuild } from "../../app/datasets";
import { pathArgument } from "../../vscode/arguments";
import { pickDataset } from "../../vscode/datasets";
import { Owner } from "../../vscode/disposable";
import type { Feature, Services } from "../../vscode/services";
import { showProblem } from "../../vscode/show-problem";
import { provideBuiltRecipes } from "./built-recipe";
import { chooseDataset } from "./choose";
import type { ComparedDatasets, DiffPanel } from "./diff-panel";
import { exportDataset } from "./export";
import type { LineagePanel } from "./lineage-panel";

const compared = z.object({ before: z.string().min(1), after: z.string().min(1) });

/** What is done with a built dataset: compared with another, traced to its sources, written for other programs. */
class DatasetFeature extends Owner {
  private diff: DiffPanel | undefined;
  private readonly lineages = new Map<string, LineagePanel>();

  constructor(private readonly services: Services) {
    super();
    this.register(provideBuiltRecipes());
    this.command("tillage.dataset.compare", (argument) => this.compare(argument));
    this.command("tillage.dataset.comparePrevious", (argument) => this.comparePrevious(argument));
    this.command("tillage.dataset.compareWith", (argument) => this.compareWith(argument));
    this.command("tillage.dataset.export", (argument) => exportDataset(services, argument));
    this.command("tillage.dataset.lineage", (argument) => this.lineage(argument));
    this.restore("diff", compared, (state, view) => this.showDiff(state, view));
    this.restore("lineage", z.object({ dataset: z.string().min(1) }), (state, view) => this.showLineage(state.dataset, view));
  }

  private command(name: string, run: (argument: unknown) => Promise<unknown>): void {
    this.register(vscode.commands.registerCommand(name, (argument: unknown) => run(argument).catch(showProblem)));
  }

  /** Panels come back after the window was reloaded; one whose state is not known any more goes. */
  private restore<T>(panel: string, schema: z.ZodType<T>, open: (state: T, view: vscode.WebviewPanel) => Promise<void>): void {
    this.register(vscode.window.registerWebviewPanelSerializer(`tillage.${panel}`, {
      deserializeWebviewPanel: async (view, state) => {
        const known = schema.safeParse(state);
        if (known.success) await open(known.data, view);
        else view.dispose();
      },
    }));
  }

  private async compare(argument: unknown): Promise<void> {
    const given = compared.safeParse(argument);
    if (given.success) return this.showDiff(given.data);
    const after = await chooseDataset("Compare datasets: the newer one");
    const before = after && (await chooseDataset("Compare datasets: what to compare it with", after));
    if (after && before) await this.showDiff({ before, after });
  }

  private async comparePrevious(argument: unknown): Promise<void> {
    const after = await pickDataset(argument);
    if (after === undefined) return;
    const before = previousBuild(after);
    if (before !== undefined) return this.showDiff({ before, after });
    const other = "Compare with…";
    const text = "No other dataset was built of this recipe before. Change the recipe and build it: what was built before is kept.";
    if ((await vscode.window.showInformationMessage(text, other)) === other) await this.compareWith(after);
  }

  private async compareWith(argument: unknown): Promise<void> {
    const after = pathArgument(argument) ?? (await pickDataset(argument));
    const before = after && (await chooseDataset("Compare with", after));
    if (after && before) await this.showDiff({ before, after });
  }

  /** The panel is loaded when it is first shown, so that activation does not pay for it. */
  private async showDiff(datasets: ComparedDatasets, restored?: vscode.WebviewPanel): Promise<void> {
    if (this.diff && !restored) {
      this.diff.show(datasets);
      return;
    }
    const { DiffPanel: Panel } = await import("./diff-panel");
    if (this.disposed) return;
    const panel: DiffPanel = this.register(new Panel(this.services, datasets, () => {
      if (this.diff === panel) this.diff = undefined;
    }, restored));
    this.diff = panel;
  }

  private async lineage(argument: unknown): Promise<void> {
    const dataset = await pickDataset(argument);
    if (dataset !== undefined) await this.showLineage(dataset);
  }

  private async showLineage(dataset: string, restored?: vscode.WebviewPanel): Promise<void> {
    const open = this.lineages.get(dataset);
    if (open && !restored) {
      open.reveal();
      return;
    }
    const { LineagePanel: Panel } = await import("./lineage-panel");
    if (this.disposed) return;
    this.lineages.set(dataset, this.register(new Panel(this.services, dataset, () => this.lineages.delete(dataset), restored)));
  }
}

export const register: Feature = (services) => new DatasetFeature(services);
