import { AbstractMessageReader, AbstractMessageWriter, createMessageConnection, ResponseError } from "vscode-jsonrpc/node";
import type { DataCallback, Disposable, Message, MessageConnection, MessageReader, MessageWriter } from "vscode-jsonrpc/node";
import type * as vscode from "vscode";
import { toProblem } from "../protocol/errors";
import { callRequest, PROBLEM_CODE, readyRequest, updateNotification } from "../protocol/panels";
import type { PanelApi } from "../protocol/panels";
import { checkedParams } from "./panel-params";

class WebviewReader extends AbstractMessageReader implements MessageReader {
  constructor(private readonly webview: vscode.Webview) {
    super();
  }
  listen(callback: DataCallback): Disposable {
    return this.webview.onDidReceiveMessage((message: Message) => callback(message));
  }
}

class WebviewWriter extends AbstractMessageWriter implements MessageWriter {
  constructor(private readonly webview: vscode.Webview) {
    super();
  }
  async write(message: Message): Promise<void> {
    await this.webview.postMessage(message);
  }
  end(): void {}
}

/** The host's end of one panel (a folder of `webview/`): answers `ready` with a snapshot and calls with the panel's API; pushes updates. */
export class PanelRpc<S, U> implements Disposable {
  private readonly connection: MessageConnection;
  private seq = 0;
  private live = false;

  constructor(panel: string, webview: vscode.Webview, api: PanelApi, snapshot: () => Promise<S>, private readonly isVisible: () => boolean) {
    this.connection = createMessageConnection(new WebviewReader(webview), new WebviewWriter(webview));
    this.connection.onRequest(readyRequest, async () => {
      try {
        const state = await snapshot();
        this.live = true;
        return { seq: this.seq, state };
      } catch (error) {
        return failure(error);
      }
    });
    this.connection.onRequest(callRequest, async ({ method, params }, token) => {
      const handler = Object.hasOwn(api, method) ? api[method] : undefined;
      const abort = new AbortController();
      const cancel = token.onCancellationRequested(() => abort.abort());
      try {
        if (!handler) throw new Error(`The panel called ${method}, which the host does not know.`);
        return (await handler(checkedParams(panel, method, params) as never, abort.signal)) ?? null;
      } catch (error) {
        return failure(error);
      } finally {
        cancel.dispose();
      }
    });
    this.connection.listen();
  }

  /** Sends a delta when the panel can see it; a hidden panel asks for a snapshot when it returns. */
  push(update: U): void {
    if (!this.live) return;
    this.seq += 1;
    if (this.isVisible()) void this.connection.sendNotification(updateNotification, { seq: this.seq, update });
  }

  dispose(): void {
    this.connection.dispose();
  }
}

function failure(error: unknown): ResponseError<unknown> {
  const problem = toProblem(error);
  return new ResponseError(PROBLEM_CODE, problem.message, problem);
}
