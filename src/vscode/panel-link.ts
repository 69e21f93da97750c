import type * as vscode from "vscode";
import type { PanelApi } from "../protocol/panels";
import { Owner } from "./disposable";
import type { PanelRpc } from "./panel-rpc";
import { showProblem } from "./show-problem";
import { webviewHtml } from "./webview-html";

export interface PanelLinkOptions<S> {
  /** Folder of `webview/`. */
  panel: string;
  title: string;
  extensionUri: vscode.Uri;
  /** What holds the webview. */
  host: { readonly webview: vscode.Webview; readonly visible: boolean };
  api: PanelApi;
  snapshot: () => Promise<S>;
}

/**
 * A webview with its RPC. What carries the messages and checks them is loaded when the first panel opens, so that activation
 * does not pay for it; the page comes after, so that no message of it is missed.
 */
export class PanelLink<S, U> extends Owner {
  private rpc: PanelRpc<S, U> | undefined;

  constructor(options: PanelLinkOptions<S>) {
    super();
    this.load(options).then(undefined, showProblem);
  }

  /** Sends a delta when the panel can see it; before its page has asked for a snapshot there is nothing to change. */
  push(update: U): void {
    this.rpc?.push(update);
  }

  private async load({ panel, title, extensionUri, host, api, snapshot }: PanelLinkOptions<S>): Promise<void> {
    const { PanelRpc: Rpc } = await import("./panel-rpc");
    if (this.disposed) return;
    this.rpc = this.register(new Rpc<S, U>(panel, host.webview, api, snapshot, () => host.visible));
    host.webview.html = webviewHtml(host.webview, extensionUri, panel, title);
  }
}
