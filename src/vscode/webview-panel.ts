import * as vscode from "vscode";
import type { PanelApi } from "../protocol/panels";
import { Owner } from "./disposable";
import { PanelRpc } from "./panel-rpc";
import { webviewHtml, webviewOptions } from "./webview-html";

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
  private readonly rpc: PanelRpc<S, U>;

  constructor(options: WebviewPanelOptions<S>, onClosed: () => void) {
    super();
    const where = { viewColumn: options.column ?? vscode.ViewColumn.Beside, preserveFocus: options.preserveFocus ?? false };
    this.view = this.register(options.restored ?? vscode.window.createWebviewPanel(`tillage.${options.panel}`, options.title, where, {
      ...webviewOptions(options.extensionUri),
      enableFindWidget: true,
    }));
    if (options.restored) options.restored.webview.options = webviewOptions(options.extensionUri);
    this.rpc = this.register(new PanelRpc<S, U>(options.panel, this.view.webview, options.api, options.snapshot, () => this.view.visible));
    this.view.webview.html = webviewHtml(this.view.webview, options.extensionUri, options.panel, options.title);
    this.register(this.view.onDidDispose(() => {
      this.dispose();
      onClosed();
    }));
  }

  push(update: U): void {
    this.rpc.push(update);
  }

  reveal(preserveFocus = false): void {
    this.view.reveal(undefined, preserveFocus);
  }
}
