import * as vscode from "vscode";
import { z } from "zod";
import type { Row } from "../../protocol/native.gen";
import { rowSchema } from "../../protocol/row-schema";
import { Owner } from "../../vscode/disposable";
import { selectedRow } from "../../vscode/selected-row";
import type { Feature, Services } from "../../vscode/services";
import { showProblem } from "../../vscode/show-problem";
import { settingsSchema } from "./models";
import { TokensPanel } from "./tokens-panel";
import type { Restored, TokensSubject } from "./tokens-panel";

const argumentSchema = z.union([
  z.object({ path: z.string().min(1), row: z.number().int().nonnegative(), model: z.string().optional() }),
  z.object({ row: rowSchema, model: z.string().optional() }),
  z.object({ text: z.string(), model: z.string().optional() }),
]);

/** What a panel remembers across a reload of the window; settings where a person changed them. */
const rememberedSchema = argumentSchema.and(z.object({ settings: settingsSchema.optional() }));

/** `Tillage: Show tokens`: one row exactly as the model will see it. */
class TokensFeature extends Owner {
  private panel: TokensPanel | undefined;

  constructor(private readonly services: Services) {
    super();
    this.register(vscode.commands.registerCommand("tillage.tokens.show", (argument: unknown) => this.open(argument)));
    this.register(vscode.window.registerWebviewPanelSerializer("tillage.tokens", {
      deserializeWebviewPanel: (panel, state) => {
        const kept = rememberedSchema.safeParse(state);
        if (kept.success && !this.panel) this.add(subjectOf(kept.data), kept.data.model, { panel, settings: kept.data.settings });
        else panel.dispose();
        return Promise.resolve();
      },
    }));
  }

  private add(subject: TokensSubject, model: string | undefined, restored?: Restored): void {
    this.panel = this.register(new TokensPanel(this.services, subject, model, () => (this.panel = undefined), restored));
  }

  private async open(argument: unknown): Promise<void> {
    try {
      const given = argumentSchema.safeParse(argument);
      const subject = given.success ? subjectOf(given.data) : await subjectOfEditor();
      const model = given.data?.model;
      if (this.panel) await this.panel.show(subject, model);
      else this.add(subject, model);
    } catch (error) {
      await showProblem(error);
    }
  }
}

function subjectOf(given: z.infer<typeof argumentSchema>): TokensSubject {
  if ("path" in given) return { path: given.path, row: given.row };
  if ("text" in given) return { given: { text: given.text } };
  return { given: given.row };
}

/** Without an argument: the row of the corpus in front, the selection, the row of the file that is open as text, or a text to type. */
async function subjectOfEditor(): Promise<TokensSubject> {
  const corpus = await selectedRow();
  if (corpus) return corpus;
  const editor = vscode.window.activeTextEditor;
  if (!editor) return { given: NOTHING };
  if (!editor.selection.isEmpty) return { given: { text: editor.document.getText(editor.selection) } };
  if (/\.(jsonl|ndjson)$/.test(editor.document.uri.path)) return { path: editor.document.uri.fsPath, row: editor.selection.active.line };
  return { given: NOTHING };
}

const NOTHING: Row = { text: "" };

export const register: Feature = (services) => new TokensFeature(services);
