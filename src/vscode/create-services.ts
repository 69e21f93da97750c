import path from "node:path";
import * as vscode from "vscode";
import { corpusMethods } from "../protocol/corpus";
import type { CorpusApi } from "../protocol/corpus";
import type { Engine } from "../runtime/engine";
import { Lazy } from "./lazy";
import type { Services } from "./services";
import { requireTrust } from "./trust";

type CorpusClient = CorpusApi & { dispose(): void };

/**
 * Builds what features share. Nothing starts here: the corpus service is forked and the engine is located at their first use,
 * so that activation costs no more than the registration of commands and views.
 */
export function createServices(context: vscode.ExtensionContext): Services & vscode.Disposable {
  const log = vscode.window.createOutputChannel("Tillage", { log: true });
  const corpus = new Lazy<CorpusClient>(async () => {
    const { connectCorpusService } = await import("../data/client");
    return connectCorpusService({
      module: path.join(context.extensionPath, "dist", "corpus-service.js"),
      extensionPath: context.extensionPath,
      // Nothing is written into a workspace that is not trusted, not even a cache.
      env: vscode.workspace.isTrusted ? {} : { TILLAGE_CACHE: path.join(context.globalStorageUri.fsPath, "cache") },
      log: (text) => log.info(`corpus: ${text.trimEnd()}`),
      onRestart: () => log.warn("The corpus service ended unexpectedly and was started again."),
    });
  });
  const engine = new Lazy<Engine>(async () => {
    const [{ createEngineClient }, { locateEngine }] = await Promise.all([import("../runtime/engine-client"), import("../runtime/locate")]);
    return createEngineClient({
      locate: () => locateEngine(path.join(context.extensionPath, "dist"), nativePath()),
      log: (line) => log.info(`engine: ${line}`),
    });
  });
  return {
    context,
    log,
    corpus: corpusProxy(corpus),
    engine: engineProxy(engine),
    dispose: () => {
      corpus.dispose();
      engine.dispose();
      log.dispose();
    },
  };
}

/** The user's own binary counts only where the workspace is trusted. */
function nativePath(): string | undefined {
  const setting = vscode.workspace.getConfiguration("tillage").get<string>("native.path", "").trim();
  return vscode.workspace.isTrusted && setting !== "" ? setting : undefined;
}

function corpusProxy(client: Lazy<CorpusClient>): CorpusApi {
  const call = (method: keyof CorpusApi) => async (...args: unknown[]) => {
    if (method === "build") requireTrust();
    const target = await client.get();
    return (target[method] as (...rest: unknown[]) => Promise<unknown>)(...args);
  };
  return Object.fromEntries(corpusMethods.map((method) => [method, call(method)])) as unknown as CorpusApi;
}

function engineProxy(client: Lazy<Engine>): Engine {
  return {
    initialize: async () => (await client.get()).initialize(),
    generate: async (params, options) => (await client.get()).generate(params, options),
    tokens: async (params, signal) => (await client.get()).tokens(params, signal),
    inspect: async (params, signal) => (await client.get()).inspect(params, signal),
    preflight: async (spec, signal) => {
      requireTrust();
      return (await client.get()).preflight(spec, signal);
    },
    score: async (params, options) => {
      requireTrust();
      return (await client.get()).score(params, options);
    },
    attribute: async (params, options) => {
      requireTrust();
      return (await client.get()).attribute(params, options);
    },
    bench: async (args, options) => {
      requireTrust();
      return (await client.get()).bench(args, options);
    },
    export: async (params, options) => {
      requireTrust();
      return (await client.get()).export(params, options);
    },
    startRun: async (runDir) => {
      requireTrust();
      return (await client.get()).startRun(runDir);
    },
    dispose: () => client.dispose(),
  };
}
