import path from "node:path";
import * as vscode from "vscode";
import { formatCount } from "../../core/format";
import { formatShare, parseRecipe, setBudget, setMaxEpochs, setScalar, setShares } from "../../core/recipe";
import type { Recipe } from "../../core/recipe";
import { roundToOne } from "../../core/mix/rebalance";
import { TillageError, toProblem } from "../../protocol/errors";
import type { MixerApi, MixerState, MixerUpdate } from "../../protocol/mixer-panel";
import { Owner } from "../../vscode/disposable";
import type { Services } from "../../vscode/services";
import { WebviewPanel } from "../../vscode/webview-panel";
import { modelOfRecipe } from "./model-of-recipe";
import { RecipeWriter } from "./recipe-writer";
import type { SourceColumns } from "./source-columns";

/** Typing and dragging pause this long before groups are counted again. */
const PAUSE_MS = 350;

/** A column with more values than this names rows rather than groups. */
const MOST_GROUPS = 50;

/** The mixer of one recipe: follows its text, saved or not, and writes what the sliders say into it. */
export class Mixer extends Owner {
  private readonly panel: WebviewPanel<MixerState, MixerUpdate>;
  private readonly writer: RecipeWriter;
  private readonly state: MixerState;
  private readonly parametersKey: string;
  private timer: NodeJS.Timeout | undefined;
  private abort: AbortController | undefined;
  /** The text without its shares and budget, for which `groups` was counted. */
  private counted = "";

  constructor(private readonly services: Services, private readonly uri: vscode.Uri, private readonly columns: SourceColumns, onClosed: () => void, restored?: vscode.WebviewPanel) {
    super();
    this.writer = new RecipeWriter(uri);
    this.parametersKey = `mixer.parameters:${uri.toString()}`;
    const title = path.basename(uri.fsPath);
    this.state = {
      title, path: uri.fsPath, groups: null, exact: false, wish: { shares: {}, maxEpochs: 4 }, by: "source", byChoices: ["source"], model: null, updating: true, problem: null,
    };
    this.panel = this.register(new WebviewPanel<MixerState, MixerUpdate>({
      extensionUri: services.context.extensionUri, panel: "mixer", title: `Mixer: ${title}`, preserveFocus: true, api: this.api(), snapshot: () => this.snapshot(), restored,
    }, () => {
      this.dispose();
      onClosed();
    }));
    this.register(vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (document.uri.toString() === uri.toString() && contentChanges.length > 0) this.follow(document.getText());
    }));
  }

  reveal(): void {
    this.panel.reveal();
  }

  private async snapshot(): Promise<MixerState> {
    const document = await vscode.workspace.openTextDocument(this.uri);
    const typed = this.services.context.workspaceState.get<number>(this.parametersKey);
    this.state.model = typed === undefined ? await modelOfRecipe(this.uri.fsPath) : { parameters: typed, from: "typed" };
    this.follow(document.getText());
    void this.findColumns(document);
    return this.state;
  }

  /** The sliders move with the text at once; groups are counted again only when something else than the wish changed. */
  private follow(text: string): void {
    const { recipe, problems } = parseRecipe(text, this.uri.fsPath);
    clearTimeout(this.timer);
    if (!recipe) {
      this.abort?.abort();
      const first = problems.find((problem) => problem.severity === "error");
      const problem = { blame: "user" as const, code: first?.code ?? "recipe", message: first?.message ?? "The recipe cannot be read.", remedy: "Mend the recipe's text; the mixer follows.", file: this.state.title, line: first?.line };
      this.update({ problem, updating: false });
      return;
    }
    this.update({ wish: wishOf(recipe), syntheticColumn: recipe.mix.synthetic?.column, by: recipe.mix.by, problem: null });
    const rest = countedText(recipe);
    if (rest === this.counted && this.state.groups) {
      this.update({ updating: false });
      return;
    }
    this.abort?.abort();
    this.update({ updating: true });
    this.timer = setTimeout(() => void this.count(text, rest), this.state.groups ? PAUSE_MS : 0);
  }

  private async count(text: string, rest: string): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    try {
      const table = await this.services.corpus.mix({ path: this.uri.fsPath, text }, abort.signal);
      if (abort.signal.aborted || this.disposed) return;
      this.counted = rest;
      const groups = table.rows.map(({ group, rows, tokens, parts }) => ({ group, rows, tokens, ...(parts ? { parts } : {}) }));
      this.update({ groups, exact: table.exact, updating: false, problem: null });
    } catch (error) {
      if (abort.signal.aborted || this.disposed) return;
      this.update({ problem: toProblem(error), updating: false });
    }
  }

  private async findColumns(document: vscode.TextDocument): Promise<void> {
    const columns = await this.columns.of(document);
    const groupable = columns.filter((column) => column.groupable).map((column) => column.name);
    this.update({ byChoices: ["source", ...groupable] });
  }

  private update(update: MixerUpdate): void {
    Object.assign(this.state, update);
    if (!this.disposed) this.panel.push(update);
  }

  private api(): MixerApi {
    return {
      setShares: async ({ shares, last }) => {
        await this.writer.write((text) => setShares(text, shares), last);
        return null;
      },
      setBudget: async ({ tokens }) => {
        await this.writer.write((text) => setBudget(text, tokens));
        return null;
      },
      setMaxEpochs: async ({ epochs }) => {
        await this.writer.write((text) => setMaxEpochs(text, epochs));
        return null;
      },
      setBy: async ({ by }) => {
        await this.regroup(by);
        return null;
      },
      setParameters: async ({ parameters }) => {
        await this.services.context.workspaceState.update(this.parametersKey, parameters ?? undefined);
        this.update({ model: parameters === null ? await modelOfRecipe(this.uri.fsPath) : { parameters, from: "typed" } });
        return null;
      },
      undo: async () => {
        await this.writer.undo();
        this.panel.reveal();
        return null;
      },
      showText: async () => {
        await this.writer.show();
        return null;
      },
      retry: async () => {
        this.counted = "";
        const document = await vscode.workspace.openTextDocument(this.uri);
        this.follow(document.getText());
        return null;
      },
    };
  }

  /** Groups by another column. Shares name groups, so those of the old groups would be errors: the new ones start from what they have. */
  private async regroup(by: string): Promise<void> {
    const document = await vscode.workspace.openTextDocument(this.uri);
    const bare = setScalar(setScalar(document.getText(), ["mix", "by"], by), ["mix", "shares"], "{}");
    const table = await this.services.corpus.mix({ path: this.uri.fsPath, text: bare });
    if (table.rows.length > MOST_GROUPS) {
      throw TillageError.user("too_many_groups", `\`${by}\` has ${formatCount(table.rows.length)} values, too many for shares.`, `Choose a column with at most ${MOST_GROUPS} values.`);
    }
    const now = roundToOne(table.rows.map((row) => row.shareNow));
    const shares = table.rows.map((row, i) => `${JSON.stringify(row.group)}: ${formatShare(now[i] ?? 0)}`).join(", ");
    await this.writer.write((text) => setScalar(setScalar(text, ["mix", "by"], by), ["mix", "shares"], `{ ${shares} }`));
  }

  override dispose(): void {
    clearTimeout(this.timer);
    this.abort?.abort();
    super.dispose();
  }
}

function wishOf(recipe: Recipe): MixerState["wish"] {
  return { budget: recipe.mix.budget, shares: recipe.mix.shares, maxEpochs: recipe.mix.maxEpochs, synthetic: recipe.mix.synthetic?.maxShare };
}

/** What the groups' rows and tokens depend on. */
function countedText(recipe: Recipe): string {
  const steps = recipe.steps.map((step) => ({ ...step, start: 0, end: 0 }));
  const { by, tokenizer, synthetic } = recipe.mix;
  return JSON.stringify({ sources: recipe.sources, steps, by, tokenizer, synthetic: synthetic && { ...synthetic, maxShare: 0 }, split: recipe.split, seed: recipe.seed });
}
