import { AbstractMessageReader, AbstractMessageWriter, CancellationTokenSource, createMessageConnection, ResponseError } from "vscode-jsonrpc/browser";
import type { DataCallback, Disposable, Message, MessageConnection, MessageReader, MessageWriter } from "vscode-jsonrpc/browser";
import { problemSchema, TillageError } from "../../src/protocol/errors";
import { callRequest, PROBLEM_CODE, readyRequest, updateNotification } from "../../src/protocol/panels";
import type { PanelApi, Snapshot } from "../../src/protocol/panels";

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}
declare function acquireVsCodeApi(): VsCodeApi;
const vscode = acquireVsCodeApi();

class HostReader extends AbstractMessageReader implements MessageReader {
  listen(callback: DataCallback): Disposable {
    const listener = (event: MessageEvent): void => callback(event.data as Message);
    window.addEventListener("message", listener);
    return { dispose: () => window.removeEventListener("message", listener) };
  }
}

class HostWriter extends AbstractMessageWriter implements MessageWriter {
  write(message: Message): Promise<void> {
    vscode.postMessage(message);
    return Promise.resolve();
  }
  end(): void {}
}

/** Options of one call: `signal` cancels it in the host and in what the host asked. */
export type Calls<A extends PanelApi> = {
  [K in keyof A]: (params: Parameters<A[K]>[0], signal?: AbortSignal) => ReturnType<A[K]>;
};

/** The panel's end: `snapshot` after ready, `calls.method(params)`, and updates while it is visible. */
export class HostConnection<S, U, A extends PanelApi> {
  private readonly connection: MessageConnection;
  readonly calls: Calls<A>;

  constructor(private readonly onSnapshot: (state: S) => void, onUpdate: (update: U) => void, private readonly onProblem: (error: TillageError) => void) {
    this.connection = createMessageConnection(new HostReader(), new HostWriter());
    let seq = 0;
    this.connection.onNotification(updateNotification, (message) => {
      if (message.seq !== seq + 1) {
        void this.ready().then((next) => (seq = next));
        return;
      }
      seq = message.seq;
      onUpdate(message.update as U);
    });
    this.connection.listen();
    this.calls = new Proxy({} as Calls<A>, {
      get: (_target, method: string) => (params: unknown, signal?: AbortSignal) => this.call(method, params, signal),
    });
    void this.ready().then((next) => (seq = next));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.ready().then((next) => (seq = next));
    });
  }

  /** Asks for a fresh snapshot; resolves to its sequence number. */
  private async ready(): Promise<number> {
    try {
      const snapshot = (await this.connection.sendRequest(readyRequest, null)) as Snapshot<S>;
      this.onSnapshot(snapshot.state);
      return snapshot.seq;
    } catch (error) {
      this.onProblem(toTillageError(error));
      return 0;
    }
  }

  private async call(method: string, params: unknown, signal?: AbortSignal): Promise<unknown> {
    const source = new CancellationTokenSource();
    const abort = (): void => source.cancel();
    if (signal?.aborted) source.cancel();
    signal?.addEventListener("abort", abort);
    try {
      return await this.connection.sendRequest(callRequest, { method, params }, source.token);
    } catch (error) {
      throw toTillageError(error);
    } finally {
      signal?.removeEventListener("abort", abort);
      source.dispose();
    }
  }
}

function toTillageError(error: unknown): TillageError {
  if (error instanceof ResponseError && error.code === PROBLEM_CODE) {
    const parsed = problemSchema.safeParse(error.data);
    if (parsed.success) return new TillageError(parsed.data, { cause: error });
  }
  return TillageError.internal("panel_call", error instanceof Error ? error.message : String(error), { cause: error });
}

/** Remembers a panel's own view state (scroll, selection) across reloads of the window. */
export const viewState = {
  get: (): unknown => vscode.getState(),
  set: (state: unknown): void => vscode.setState(state),
};
