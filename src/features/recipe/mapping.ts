import path from "node:path";
import * as vscode from "vscode";
import { isSourceShape } from "../../core/dataset/mapping";
import { parseRecipe, setReading } from "../../core/recipe";
import { TillageError, toProblem } from "../../protocol/errors";
import type { MappingApi, MappingState, MappingUpdate } from "../../protocol/mapping-panel";
import { Owner } from "../../vscode/disposable";
import { openRow } from "../../vscode/open-row";
import type { Services } from "../../vscode/services";
import { WebviewPanel } from "../../vscode/webview-panel";
import { RecipeWriter } from "./recipe-writer";

type Wish = Pick<MappingState, "as" | "map">;

/** The mapping of one source's columns: shows what its rows become, and writes what was chosen into the recipe's text. */
export class Mapping extends Owner {
  private readonly panel: WebviewPanel<MappingState, MappingUpdate>;
  private readonly writer: RecipeWriter;
  private state: MappingState;
  private abort: AbortController | undefined;
  /** What the recipe's text says of the source. */
  private written: Wish = { as: null, map: {} };

  constructor(private readonly services: Services, private readonly uri: vscode.Uri, source: string, onClosed: () => void, restored?: vscode.WebviewPanel) {
    super();
    this.writer = new RecipeWriter(uri);
    this.state = { path: uri.fsPath, source, recipe: path.basename(uri.fsPath), file: "", as: null, map: {}, mapping: null, updating: true, unsaved: false, problem: null };
    this.panel = this.register(new WebviewPanel<MappingState, MappingUpdate>({
      extensionUri: services.context.extensionUri, panel: "mapping", title: `Columns of ${source}`, api: this.api(), snapshot: () => Promise.resolve(this.state), restored,
    }, () => {
      this.dispose();
      onClosed();
    }));
    this.register(vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (document.uri.toString() === uri.toString() && contentChanges.length > 0) this.follow(document.getText());
    }));
    this.start().catch((error: unknown) => this.update({ problem: toProblem(error), updating: false }));
  }

  reveal(): void {
    this.panel.reveal();
  }

  private async start(): Promise<void> {
    const document = await vscode.workspace.openTextDocument(this.uri);
    this.written = this.wishOf(document.getText()) ?? this.written;
    await this.look(this.written);
  }

  /** What a recipe's text says of the source; undefined where it cannot be read. */
  private wishOf(text: string): Wish | undefined {
    const source = parseRecipe(text, this.uri.fsPath).recipe?.sources.find((candidate) => candidate.name === this.state.source);
    if (!source) return undefined;
    return { as: source.as !== undefined && isSourceShape(source.as) ? source.as : null, map: source.map };
  }

  /** The panel moves with the text: a change of what it says of the source is taken over, any other leaves the panel alone. */
  private follow(text: string): void {
    const wish = this.wishOf(text);
    if (!wish || same(wish, this.written)) return;
    this.written = wish;
    if (same(wish, this.state)) this.update({ unsaved: false });
    else void this.look(wish);
  }

  private async look(wish: Wish): Promise<void> {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.update({ ...wish, updating: true, problem: null, unsaved: !same(wish, this.written) });
    try {
      const document = await vscode.workspace.openTextDocument(this.uri);
      const mapping = await this.services.corpus.mapping({ path: this.uri.fsPath, text: document.getText(), source: this.state.source, ...wish }, abort.signal);
      if (this.abort === abort) this.update({ mapping, file: vscode.workspace.asRelativePath(mapping.file), updating: false });
    } catch (error) {
      if (this.abort !== abort) return;
      const problem = toProblem(error);
      this.update({ updating: false, problem });
    }
  }

  private update(update: MappingUpdate): void {
    this.state = { ...this.state, ...update };
    if (!this.disposed) this.panel.push(update);
  }

  private api(): MappingApi {
    return {
      set: async (wish) => {
        void this.look(wish);
        return Promise.resolve(null);
      },
      save: async () => {
        const { mapping, source } = this.state;
        const shape = mapping?.read?.shape;
        if (this.state.updating || !mapping?.read || shape === undefined) throw TillageError.user("not_read", "There is no mapping yet that the rows can be read with.", "Choose a shape and a column for each of its roles.");
        const { columns } = mapping.read;
        await this.writer.write((text) => setReading(text, source, { shape, columns }));
        return null;
      },
      reset: async () => {
        void this.look(this.written);
        return Promise.resolve(null);
      },
      cancel: async () => {
        this.abort?.abort();
        return Promise.resolve(null);
      },
      retry: async () => {
        await this.start();
        return null;
      },
      showText: async () => {
        await this.writer.show();
        return null;
      },
      openFile: async () => {
        if (this.state.mapping) await openRow(this.state.mapping.file, this.state.mapping.rows[0]?.row ?? 0);
        return null;
      },
    };
  }

  override dispose(): void {
    this.abort?.abort();
    super.dispose();
  }
}

function same(a: Wish, b: Wish): boolean {
  const entries = (map: Wish["map"]): string => JSON.stringify(Object.entries(map).sort(([one], [other]) => one.localeCompare(other)));
  return a.as === b.as && entries(a.map) === entries(b.map);
}
