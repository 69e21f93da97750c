import * as vscode from "vscode";
import { corpusGlob } from "../../core/dataset/formats";
import { isLive } from "../../core/run/state";
import { Owner } from "../../vscode/disposable";
import { groups, treeOf } from "./nodes";
import type { Group, TreeNode, WorkspaceFacts } from "./nodes";
import { scanDatasets, scanEvals, scanModels, scanRecipes, scanRuns, scanSources, tillageRoots } from "./scan";

const QUIET_MS = 250;
/** A live run is looked at this often while the tree is visible: not every file system tells of appended lines. */
const LIVE_MS = 1000;

const watched: readonly [glob: string, groups: readonly Group[]][] = [
  [corpusGlob, ["sources"]],
  ["**/*.recipe.{yaml,yml}", ["recipes"]],
  ["**/*.run.{yaml,yml}", ["runs"]],
  ["**/*.eval.{yaml,yml}", ["evals"]],
  ["**/{config,adapter_config}.json", ["models"]],
  ["**/.tillage/datasets/*/manifest.json", ["datasets"]],
  ["**/.tillage/runs/*/{run.json,events.jsonl,lock,stop}", ["runs", "models"]],
  ["**/.tillage/evals/*/result.json", ["evals"]],
];

/** What the workspace holds, as a tree that follows the files. */
export class ExplorerTree extends Owner implements vscode.TreeDataProvider<TreeNode> {
  private readonly changes = this.register(new vscode.EventEmitter<TreeNode | undefined>());
  readonly onDidChangeTreeData = this.changes.event;
  private facts: WorkspaceFacts = { root: "", sources: [], recipes: [], datasets: [], models: [], runFiles: [], runs: [], evals: [], results: [] };
  private nodes: TreeNode[] = [];
  private readonly dirty = new Set<Group>(groups);
  private scanning: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private view: vscode.TreeView<TreeNode> | undefined;

  constructor(private readonly log: vscode.LogOutputChannel) {
    super();
    for (const [glob, touched] of watched) {
      const watcher = this.register(vscode.workspace.createFileSystemWatcher(glob));
      const mark = (uri: vscode.Uri): void => this.touched(uri, touched);
      this.register(watcher.onDidCreate(mark));
      this.register(watcher.onDidChange(mark));
      this.register(watcher.onDidDelete(mark));
    }
    this.register(vscode.workspace.onDidChangeWorkspaceFolders(() => this.refresh()));
    const live = setInterval(() => {
      if (this.view?.visible && this.facts.runs.some((run) => isLive(run.phase))) this.mark(["runs"]);
    }, LIVE_MS);
    this.register({ dispose: () => clearInterval(live) });
    this.register({ dispose: () => clearTimeout(this.timer) });
  }

  attach(view: vscode.TreeView<TreeNode>): void {
    this.view = view;
    this.register(view.onDidChangeVisibility(() => {
      if (view.visible && this.dirty.size > 0) this.mark([]);
    }));
  }

  refresh(): void {
    this.mark(groups);
  }

  getTreeItem(node: TreeNode): vscode.TreeItem {
    const state = node.children.length === 0 ? vscode.TreeItemCollapsibleState.None : node.expanded ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.Collapsed;
    const item = new vscode.TreeItem(node.label, state);
    item.id = node.id;
    item.description = node.description;
    item.tooltip = node.tooltip || undefined;
    item.contextValue = node.context;
    if (node.icon) item.iconPath = new vscode.ThemeIcon(node.icon, node.iconColor ? new vscode.ThemeColor(node.iconColor) : undefined);
    else if (node.fsPath) {
      item.iconPath = vscode.ThemeIcon.File;
      item.resourceUri = vscode.Uri.file(node.fsPath);
    }
    if (node.command) {
      const argument = node.fsPath === undefined ? [] : [vscode.Uri.file(node.fsPath)];
      item.command = { command: node.command.id, title: node.command.title, arguments: argument };
    }
    return item;
  }

  async getChildren(node?: TreeNode): Promise<TreeNode[]> {
    if (node) return node.children;
    if (this.dirty.size > 0) await this.scan();
    return this.nodes;
  }

  private touched(uri: vscode.Uri, touched: readonly Group[]): void {
    // The engine's own tables are not the user's corpora.
    const own = uri.path.includes("/.tillage/");
    const meant = touched.filter((group) => !own || group !== "sources");
    if (meant.length > 0) this.mark(meant);
  }

  private mark(touched: readonly Group[]): void {
    for (const group of touched) this.dirty.add(group);
    if (!this.view?.visible) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.scan().then(() => this.changes.fire(undefined));
    }, QUIET_MS);
  }

  /** One scan at a time; what became dirty meanwhile is scanned after it. */
  private scan(): Promise<void> {
    this.scanning ??= this.scanDirty().finally(() => (this.scanning = undefined));
    return this.scanning;
  }

  private async scanDirty(): Promise<void> {
    const dirty = new Set(this.dirty);
    this.dirty.clear();
    const started = Date.now();
    try {
      const roots = await tillageRoots();
      const facts = { ...this.facts, root: vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? "" };
      const jobs: Promise<void>[] = [];
      if (dirty.has("sources")) jobs.push(scanSources().then((sources) => void (facts.sources = sources)));
      if (dirty.has("recipes")) jobs.push(scanRecipes().then((recipes) => void (facts.recipes = recipes)));
      if (dirty.has("datasets")) jobs.push(scanDatasets(roots).then((datasets) => void (facts.datasets = datasets)));
      if (dirty.has("evals")) jobs.push(scanEvals(roots).then((found) => void Object.assign(facts, found)));
      if (dirty.has("runs")) jobs.push(scanRuns(roots, this.log).then((found) => void Object.assign(facts, found)));
      await Promise.all(jobs);
      if (dirty.has("models")) facts.models = await scanModels(facts.runs);
      this.facts = facts;
      this.nodes = treeOf(facts);
      this.showBadge();
      this.log.trace(`explorer: ${[...dirty].join(", ")} in ${Date.now() - started} ms`);
    } catch (error) {
      this.log.error(`explorer: ${String(error)}`);
    }
  }

  private showBadge(): void {
    if (!this.view) return;
    const live = this.facts.runs.filter((run) => isLive(run.phase)).length;
    this.view.badge = live === 0 ? undefined : { value: live, tooltip: live === 1 ? "1 run at work" : `${live} runs at work` };
  }
}
