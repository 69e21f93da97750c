import * as vscode from "vscode";
import { completeYaml, describeYaml } from "../core/yaml-complete";
import type { KeyDocs } from "../core/yaml-complete";
import type { YamlFile, YamlProblem } from "../core/yaml-file";
import { Owner } from "./disposable";

export interface YamlHelpOptions {
  /** A glob for the files. */
  pattern: string;
  matches: (document: vscode.TextDocument) => boolean;
  parse: (text: string, file: string) => YamlFile<unknown>;
  docs: KeyDocs;
}

/** What the editor gives to one kind of Tillage's YAML files: problems as they are typed, completion of keys and values, hover. */
export class YamlHelp extends Owner {
  private readonly diagnostics = this.register(vscode.languages.createDiagnosticCollection("tillage"));
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(private readonly options: YamlHelpOptions) {
    super();
    const selector: vscode.DocumentSelector = { pattern: options.pattern };
    this.register(vscode.workspace.onDidOpenTextDocument((document) => this.check(document)));
    this.register(vscode.workspace.onDidChangeTextDocument(({ document }) => this.checkSoon(document)));
    this.register(vscode.workspace.onDidCloseTextDocument((document) => this.diagnostics.delete(document.uri)));
    this.register({ dispose: () => {
      for (const timer of this.timers.values()) clearTimeout(timer);
    } });
    this.register(vscode.languages.registerCompletionItemProvider(selector, { provideCompletionItems: (document, position) => this.complete(document, position) }, ":", " "));
    this.register(vscode.languages.registerHoverProvider(selector, { provideHover: (document, position) => this.hover(document, position) }));
    for (const document of vscode.workspace.textDocuments) this.check(document);
  }

  private checkSoon(document: vscode.TextDocument): void {
    if (!this.options.matches(document)) return;
    const key = document.uri.toString();
    clearTimeout(this.timers.get(key));
    this.timers.set(key, setTimeout(() => {
      this.timers.delete(key);
      if (!document.isClosed) this.check(document);
    }, 200));
  }

  private check(document: vscode.TextDocument): void {
    if (!this.options.matches(document)) return;
    const { problems } = this.options.parse(document.getText(), document.uri.fsPath);
    this.diagnostics.set(document.uri, problems.map((problem) => toDiagnostic(document, problem)));
  }

  private complete(document: vscode.TextDocument, position: vscode.Position): vscode.CompletionItem[] {
    const { items, start, end } = completeYaml(document.getText(), document.offsetAt(position), this.options.docs);
    const range = new vscode.Range(document.positionAt(start), document.positionAt(end));
    return items.map((item, index) => {
      const made = new vscode.CompletionItem(item.label, item.kind === "key" ? vscode.CompletionItemKind.Property : vscode.CompletionItemKind.Value);
      made.insertText = item.insertText;
      made.documentation = new vscode.MarkdownString(item.documentation);
      made.range = range;
      made.sortText = String(index).padStart(3, "0");
      return made;
    });
  }

  private hover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
    const found = describeYaml(document.getText(), document.offsetAt(position), this.options.docs);
    return found && new vscode.Hover(new vscode.MarkdownString(found.documentation), new vscode.Range(document.positionAt(found.start), document.positionAt(found.end)));
  }
}

function toDiagnostic(document: vscode.TextDocument, problem: YamlProblem): vscode.Diagnostic {
  const range = new vscode.Range(document.positionAt(problem.start), document.positionAt(problem.end));
  const diagnostic = new vscode.Diagnostic(range, `${problem.message} ${problem.remedy}`, vscode.DiagnosticSeverity.Error);
  diagnostic.source = "Tillage";
  diagnostic.code = problem.code;
  return diagnostic;
}
