import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { parseDocument, isMap, isScalar } from "yaml";
import { stepRanges } from "../../core/recipe";
import { readManifest, type Manifest } from "../../data/build/manifest";
import { TillageError, toProblem } from "../../protocol/errors";
import type { LineageApi, LineageState, LineageUpdate } from "../../protocol/lineage-panel";
import { datasetOf, listRuns } from "../../runtime/run-folder";
import { readSpec } from "../../runtime/spec";
import { Owner } from "../../vscode/disposable";
import type { Services } from "../../vscode/services";
import { wayTo } from "../../vscode/show-place";
import { WebviewPanel } from "../../vscode/webview-panel";
import { BUILT_RECIPE } from "./built-recipe";
import { lineageOf } from "./lineage";
import type { DatasetRun } from "./lineage";

/** Where a dataset comes from: files, sources, steps, mix; and what was trained on it. */
export class LineagePanel extends Owner {
  private readonly panel: WebviewPanel<LineageState, LineageUpdate>;
  private state: LineageState;
  private readonly root: string;

  constructor(private readonly services: Services, private readonly dataset: string, onClosed: () => void, restored?: vscode.WebviewPanel) {
    super();
    this.root = path.resolve(dataset, "..", "..", "..");
    const title = path.basename(dataset);
    this.state = { dataset, title, subtitle: "", graph: null, problem: null };
    this.panel = this.register(new WebviewPanel<LineageState, LineageUpdate>({
      extensionUri: services.context.extensionUri, panel: "lineage", title: `Lineage: ${title}`, column: vscode.ViewColumn.Active, api: this.api(), snapshot: () => Promise.resolve(this.state), restored,
    }, () => {
      this.dispose();
      onClosed();
    }));
    const runs = this.register(vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(vscode.Uri.file(this.root), ".tillage/runs/*/{run.json,model/config.json,adapter/adapter_config.json}")));
    const again = (): void => void this.load();
    this.register(runs.onDidCreate(again));
    this.register(runs.onDidDelete(again));
    again();
  }

  reveal(): void {
    this.panel.reveal();
    void this.load();
  }

  private async load(): Promise<void> {
    try {
      const manifest = readManifest(this.dataset);
      const built = statSync(path.join(this.dataset, "manifest.json")).mtimeMs;
      const graph = lineageOf(manifest, await this.runs(), this.root, (file) => {
        const now = statSync(file, { throwIfNoEntry: false });
        return now === undefined ? null : { newer: now.mtimeMs > built };
      });
      this.update({ graph, subtitle: `${manifest.recipe.path} · built ${new Date(built).toLocaleString()} · seed ${manifest.seed}`, problem: null });
    } catch (error) {
      this.update({ problem: toProblem(error) });
    }
  }

  /** The workspace's runs whose rows came from this dataset. */
  private async runs(): Promise<DatasetRun[]> {
    const all = await listRuns(this.root, (dir, error) => this.services.log.debug(`${dir}: ${String(error)}`));
    return all.filter((run) => datasetOf(run.dir, readSpec(run.dir)) === this.dataset).map((run) => ({
      run,
      results: (["model", "adapter"] as const).map((kind) => ({ dir: path.join(run.dir, kind), kind })).filter(({ dir }) => existsSync(dir)),
    }));
  }

  private update(update: LineageUpdate): void {
    this.state = { ...this.state, ...update };
    if (!this.disposed) this.panel.push(update);
  }

  private api(): LineageApi {
    return {
      open: async ({ id }) => {
        await this.open(id);
        return null;
      },
      receipts: async ({ step }) => {
        await vscode.commands.executeCommand("tillage.dataset.receipts", { dataset: this.dataset, step });
        return null;
      },
      retry: async () => {
        await this.load();
        return null;
      },
    };
  }

  private async open(id: string): Promise<void> {
    const node = this.state.graph?.layers.flatMap((layer) => layer.nodes).find((candidate) => candidate.id === id);
    if (!node) throw TillageError.internal("no_node", `The graph has no node ${id}.`);
    const rest = id.slice(id.indexOf(":") + 1);
    const manifest = readManifest(this.dataset);
    switch (node.kind) {
      case "file":
        return void (await vscode.commands.executeCommand("tillage.corpus.open", vscode.Uri.file(rest)));
      case "eval":
        return void (await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(rest)));
      case "source":
        return this.openRecipe(manifest, (text) => keyOffset(text, ["sources", rest]));
      case "step":
        return this.openRecipe(manifest, (text) => stepOffset(text, Number(rest), node.label));
      case "mix":
        return this.openRecipe(manifest, (text) => keyOffset(text, ["mix"]) ?? keyOffset(text, ["split"]) ?? 0);
      case "split": {
        const [file] = manifest.split.find((side) => side.name === rest)?.files ?? [];
        return void (file !== undefined && (await vscode.commands.executeCommand("tillage.corpus.open", vscode.Uri.file(path.join(this.dataset, file)))));
      }
      case "run":
        return void (await vscode.commands.executeCommand("tillage.run.open", vscode.Uri.file(rest)));
      case "model":
        return void (await wayTo(rest).go());
    }
  }

  /** The recipe at a place of its text; as it was when the dataset was built, where it has no such place any more. */
  private async openRecipe(manifest: Manifest, find: (text: string) => number | undefined): Promise<void> {
    const file = path.resolve(this.root, manifest.recipe.path);
    const now = existsSync(file) ? find(readFileSync(file, "utf8")) : undefined;
    const uri = now === undefined ? vscode.Uri.from({ scheme: BUILT_RECIPE, path: `/${path.basename(this.dataset)}.recipe.yaml`, query: JSON.stringify({ dataset: this.dataset }) }) : vscode.Uri.file(file);
    const document = await vscode.workspace.openTextDocument(uri);
    const at = document.positionAt(now ?? find(manifest.recipe.text) ?? 0);
    await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, selection: new vscode.Range(at, at) });
  }
}

/** Where a step stands: at its old place where it is the same step there, else where a step of its name is. */
function stepOffset(text: string, index: number, title: string): number | undefined {
  const ranges = stepRanges(text);
  return (ranges.find((range) => range.index === index && range.step === title) ?? ranges.find((range) => range.step === title))?.start;
}

function keyOffset(text: string, [first, second]: readonly [string, string?]): number | undefined {
  const of = (node: unknown, name: string): { start: number; value: unknown } | undefined => {
    if (!isMap(node)) return undefined;
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === name);
    return isScalar(pair?.key) && pair.key.range ? { start: pair.key.range[0], value: pair.value } : undefined;
  };
  const top = of(parseDocument(text).contents, first);
  return second === undefined ? top?.start : of(top?.value, second)?.start;
}
