import * as vscode from "vscode";
import type { PanelApi } from "../protocol/panels";
import { Owner } from "./disposable";
import { PanelLink } from "./panel-link";
import { webviewOptions } from "./webview-html";

export interface WebviewPanelOptions<S> {
  extensionUri: vscode.Uri;
  /** Folder of `webview/`, and the suffix of the view type `tillage.<panel>`. */
  panel: string;
  title: string;
  /** Where it opens; beside the text when absent. */
  column?: vscode.ViewColumn;
  /** The keyboard stays where it is. */
  preserveFocus?: boolean;
  api: PanelApi;
  snapshot: () => Promise<S>;
  /** A panel that VS Code brought back after the window was reloaded; a new one is made when absent. */
  restored?: vscode.WebviewPanel;
}

/** A panel in the editor area: its webview, its RPC, and their common end. Owners register what else has to go with it. */
export class WebviewPanel<S, U> extends Owner {
  readonly view: vscode.WebviewPanel;
  private readonly link: PanelLink<S, U>;

  constructor(options: WebviewPanelOptions<S>, onClosed: () => void) {
    super();
    const where = { viewColumn: options.column ?? vscode.ViewColumn.Beside, preserveFocus: options.preserveFocus ?? false };
    this.view = this.register(options.restored ?? vscode.window.createWebviewPanel(`tillage.${options.panel}`, options.title, where, {
      ...webviewOptions(options.extensionUri),
      enableFindWidget: true,
    }));
    if (options.restored) options.restored.webview.options = webviewOptions(options.extensionUri);
    const { panel, title, extensionUri, api, snapshot } = options;
    this.link = this.register(new PanelLink<S, U>({ panel, title, extensionUri, host: this.view, api, snapshot }));
    this.register(this.view.onDidDispose(() => {
      this.dispose();
      onClosed();
    }));
  }

  push(update: U): void {
    this.link.push(update);
  }

  reveal(preserveFocus = false): void {
    this.view.reveal(undefined, preserveFocus);
  }
}
