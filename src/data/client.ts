import { fork, type ChildProcess } from "node:child_process";
import { CancellationTokenSource, createMessageConnection, IPCMessageReader, IPCMessageWriter, ResponseError, type MessageConnection } from "vscode-jsonrpc/node";
import { z } from "zod";
import { corpusMethods, type BuildProgress, type CorpusApi } from "../protocol/corpus";
import { problemSchema, TillageError } from "../protocol/errors";
import { cancelled } from "./duckdb/failure";
import { buildProgress, cancelledCode, requestOf } from "./rpc";
import type { CorpusOptions } from "./service";

export type { CorpusOptions } from "./service";

export interface Disposable {
  dispose(): void;
}

export interface ConnectOptions extends CorpusOptions {
  /** Path of `dist/corpus-service.js`. */
  module: string;
  env?: NodeJS.ProcessEnv;
  /** Flags of Node for the child. */
  execArgv?: string[];
  /** Called when a child takes the place of one that ended by itself. */
  onRestart?: () => void;
  /** Gets the child's standard error. */
  log?: (text: string) => void;
}

const failureSchema = z.object({ problem: problemSchema });

function crashed(said: string): TillageError {
  const last = said.trim().split("\n").at(-1) ?? "";
  return TillageError.environment("service_crashed", `The corpus service ended unexpectedly.${last === "" ? "" : ` It said: ${last}`}`, "Try again: it is started anew. Files that were open need to be opened again.");
}

interface Live {
  child: ChildProcess;
  connection: MessageConnection;
  /** Rejects when the child ends. */
  ended: Promise<never>;
}

/** The corpus service in a child of its own. It starts at the first call; after a crash the next call starts one new child, however many calls wait for it. */
class CorpusClient implements Disposable {
  private live: Live | undefined;
  private started = false;
  private disposed = false;
  /** The end of the child's standard error. */
  private said = "";

  constructor(private readonly options: ConnectOptions) {}

  private connect(): Live {
    if (this.live) return this.live;
    if (this.disposed) throw TillageError.internal("disposed", "The corpus service was closed.");
    const { module, extensionPath, env, execArgv } = this.options;
    const child = fork(module, [], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      execArgv: execArgv ?? [],
      env: { ...process.env, ...env, ELECTRON_RUN_AS_NODE: "1", ...(extensionPath === undefined ? {} : { TILLAGE_DUCKDB_EXTENSION: extensionPath }) },
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.said = (this.said + text).slice(-2000);
      this.options.log?.(text);
    });
    const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child));
    const ended = new Promise<never>((_resolve, reject) => {
      const end = () => {
        if (this.live?.child === child) this.live = undefined;
        connection.dispose();
        reject(crashed(this.said));
        this.said = "";
      };
      child.once("exit", end);
      child.once("error", end);
    });
    // Whoever waits for an answer sees it; without anybody waiting it is no unhandled rejection.
    ended.catch(() => undefined);
    connection.onError(() => undefined);
    connection.listen();
    this.live = { child, connection, ended };
    if (this.started) this.options.onRestart?.();
    this.started = true;
    return this.live;
  }

  async call(method: string, params: unknown, signal?: AbortSignal, progress?: (p: BuildProgress) => void): Promise<unknown> {
    if (signal?.aborted) throw cancelled();
    const { connection, ended } = this.connect();
    const source = new CancellationTokenSource();
    const abort = () => source.cancel();
    signal?.addEventListener("abort", abort, { once: true });
    const token = progress === undefined ? undefined : `${process.pid}-${++serial}`;
    const subscription = token === undefined || !progress ? undefined : connection.onProgress(buildProgress, token, progress);
    try {
      return await Promise.race([connection.sendRequest(requestOf(method), { params, progress: token }, source.token), ended]);
    } catch (error) {
      throw this.failure(error);
    } finally {
      signal?.removeEventListener("abort", abort);
      subscription?.dispose();
      source.dispose();
    }
  }

  private failure(error: unknown): TillageError {
    if (error instanceof TillageError) return error;
    if (error instanceof ResponseError) {
      if (error.code === cancelledCode) return cancelled();
      const failure = failureSchema.safeParse(error.data);
      if (failure.success) return new TillageError(failure.data.problem);
    }
    if (!this.live) return crashed(this.said);
    return TillageError.internal("rpc", `The corpus service could not be asked: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }

  dispose(): void {
    this.disposed = true;
    const live = this.live;
    this.live = undefined;
    if (!live) return;
    live.connection.dispose();
    if (live.child.connected) live.child.disconnect();
    // It ends by itself when the channel closes; a query that hangs does not keep it.
    const timer = setTimeout(() => live.child.kill("SIGKILL"), 2000);
    timer.unref();
    live.child.once("exit", () => clearTimeout(timer));
  }
}

let serial = 0;

/** The corpus service in a child process, for the extension host. Nothing starts before the first call. */
export function connectCorpusService(options: ConnectOptions): CorpusApi & Disposable {
  const client = new CorpusClient(options);
  const calls = Object.fromEntries(corpusMethods.map((method) => [method, (...args: [unknown, AbortSignal?, ((p: BuildProgress) => void)?]) => client.call(method, ...args)]));
  return { ...(calls as unknown as CorpusApi), dispose: () => client.dispose() };
}
