import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import path from "node:path";
import { CancellationTokenSource, createMessageConnection, ResponseError, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";
import type { MessageConnection } from "vscode-jsonrpc/node";
import { problemSchema, TillageError } from "../protocol/errors";
import type { AttributeNotification, AttributeResult, BenchProgress, BenchResult, ExportNotification, ExportResult, GenerateResult, InitializeResult, InspectResult, PreflightResult, ScoreNotification, ScoreResult, TokenNotification, TokensResult } from "../protocol/native.gen";
import type { Engine } from "./engine";
import { runEngineCommand } from "./engine-command";

const PROTOCOL = 1;

interface Server {
  process: ChildProcessWithoutNullStreams;
  connection: MessageConnection;
  capabilities: Promise<InitializeResult>;
  /** Rejects every call in flight when the process dies. */
  gone: Promise<never>;
}

export interface EngineClientOptions {
  /** The binary, found by `locateEngine`. Called at the first use. */
  locate: () => string;
  log?: (line: string) => void;
}

/** Talks to one `tillage-native serve`, started at the first question and again after a crash. */
export function createEngineClient(options: EngineClientOptions): Engine {
  return new EngineClient(options);
}

class EngineClient implements Engine {
  private server: Server | undefined;
  private readonly listeners = new Set<(token: TokenNotification) => void>();
  private readonly scoring = new Set<(note: ScoreNotification) => void>();
  private readonly attributing = new Set<(note: AttributeNotification) => void>();
  private readonly exporting = new Set<(note: ExportNotification) => void>();

  constructor(private readonly options: EngineClientOptions) {}

  async initialize(): Promise<InitializeResult> {
    return this.start().capabilities;
  }

  async generate(params: Parameters<Engine["generate"]>[0], options: Parameters<Engine["generate"]>[1] = {}): Promise<GenerateResult> {
    return listening(this.listeners, options.onToken, async () => (await this.request("generate", params, options.signal)) as GenerateResult);
  }

  async score(params: Parameters<Engine["score"]>[0], options: Parameters<Engine["score"]>[1] = {}): Promise<ScoreResult> {
    const { onProgress } = options;
    const listener = onProgress && ((note: ScoreNotification) => onProgress(note.progress));
    return listening(this.scoring, listener, async () => (await this.request("score", params, options.signal)) as ScoreResult);
  }

  async attribute(params: Parameters<Engine["attribute"]>[0], options: Parameters<Engine["attribute"]>[1] = {}): Promise<AttributeResult> {
    const { onProgress } = options;
    const listener = onProgress && ((note: AttributeNotification) => onProgress(note.progress));
    return listening(this.attributing, listener, async () => (await this.request("attribute", params, options.signal)) as AttributeResult);
  }

  async bench(args: readonly string[], options: Parameters<Engine["bench"]>[1] = {}): Promise<BenchResult> {
    const { signal, onProgress } = options;
    const told = onProgress && ((progress: unknown) => onProgress(progress as BenchProgress));
    return (await runEngineCommand(this.options.locate(), ["bench", ...args], { ...(signal && { signal }), ...(told && { onProgress: told }) })) as BenchResult;
  }

  async export(params: Parameters<Engine["export"]>[0], options: Parameters<Engine["export"]>[1] = {}): Promise<ExportResult> {
    return listening(this.exporting, options.onProgress, async () => (await this.request("export", params, options.signal)) as ExportResult);
  }

  async tokens(params: Parameters<Engine["tokens"]>[0], signal?: AbortSignal): Promise<TokensResult> {
    return (await this.request("tokens", params, signal)) as TokensResult;
  }

  async inspect(params: Parameters<Engine["inspect"]>[0], signal?: AbortSignal): Promise<InspectResult> {
    return (await this.request("inspect", params, signal)) as InspectResult;
  }

  async preflight(spec: Parameters<Engine["preflight"]>[0], signal?: AbortSignal): Promise<PreflightResult> {
    return (await this.request("preflight", spec, signal)) as PreflightResult;
  }

  startRun(runDir: string): Promise<{ pid: number }> {
    mkdirSync(runDir, { recursive: true });
    const log = openSync(path.join(runDir, "engine.log"), "a");
    try {
      const child = spawn(this.options.locate(), ["train", runDir], { detached: true, stdio: ["ignore", log, log], windowsHide: true });
      return new Promise((resolve, reject) => {
        child.once("error", (error) => reject(TillageError.environment("engine_start", `The engine could not be started: ${error.message}.`, "Check that tillage-native is there and may be executed.")));
        child.once("spawn", () => {
          child.unref();
          resolve({ pid: child.pid ?? 0 });
        });
      });
    } finally {
      closeSync(log);
    }
  }

  dispose(): void {
    const server = this.server;
    this.server = undefined;
    if (!server) return;
    server.connection.dispose();
    server.process.stdin.end();
    server.process.kill();
  }

  private async request(method: string, params: unknown, signal?: AbortSignal): Promise<unknown> {
    const server = this.start();
    const source = new CancellationTokenSource();
    const abort = (): void => source.cancel();
    if (signal?.aborted) throw cancelled();
    signal?.addEventListener("abort", abort);
    try {
      await server.capabilities;
      return await Promise.race([server.connection.sendRequest(method, params, source.token), server.gone]);
    } catch (error) {
      if (signal?.aborted) throw cancelled();
      throw toTillageError(error);
    } finally {
      signal?.removeEventListener("abort", abort);
      source.dispose();
    }
  }

  private start(): Server {
    if (this.server) return this.server;
    const child = spawn(this.options.locate(), ["serve"], { stdio: ["pipe", "pipe", "pipe"], windowsHide: true });
    const connection = createMessageConnection(new StreamMessageReader(child.stdout), new StreamMessageWriter(child.stdin));
    let tail = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      tail = (tail + text).slice(-2000);
      this.options.log?.(text.trimEnd());
    });
    const gone = new Promise<never>((_resolve, reject) => {
      const end = (why: string): void => {
        if (this.server?.process === child) this.server = undefined;
        connection.dispose();
        const last = tail.trim().split("\n").at(-1) ?? "";
        reject(TillageError.internal("engine_died", `The engine ended unexpectedly (${why}). ${last}`.trim()));
      };
      child.once("error", (error) => end(error.message));
      child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
    });
    // Nobody may be waiting when the process ends in peace.
    gone.catch(() => undefined);
    connection.onNotification("generate/token", (token: TokenNotification) => {
      for (const listener of this.listeners) listener(token);
    });
    connection.onNotification("score/progress", (note: ScoreNotification) => this.scoring.forEach((listener) => listener(note)));
    connection.onNotification("attribute/progress", (note: AttributeNotification) => this.attributing.forEach((listener) => listener(note)));
    connection.onNotification("export/progress", (note: ExportNotification) => this.exporting.forEach((listener) => listener(note)));
    connection.onError(([error]) => this.options.log?.(`engine protocol: ${error.message}`));
    connection.listen();
    const capabilities = Promise.race([connection.sendRequest<InitializeResult>("initialize", { protocol: PROTOCOL }), gone]);
    capabilities.catch(() => undefined);
    this.server = { process: child, connection, capabilities, gone };
    return this.server;
  }
}

/** Keeps a listener while a request is open. */
async function listening<L, T>(listeners: Set<L>, listener: L | undefined, work: () => Promise<T>): Promise<T> {
  if (listener !== undefined) listeners.add(listener);
  try {
    return await work();
  } finally {
    if (listener !== undefined) listeners.delete(listener);
  }
}

function cancelled(): TillageError {
  return TillageError.user("cancelled", "Cancelled.", "Start it again when you wish.");
}

function toTillageError(error: unknown): TillageError {
  if (error instanceof TillageError) return error;
  if (error instanceof ResponseError) {
    const parsed = problemSchema.safeParse(error.data);
    if (parsed.success) return new TillageError(parsed.data, { cause: error });
  }
  return TillageError.internal("engine_call", error instanceof Error ? error.message : String(error), { cause: error });
}
