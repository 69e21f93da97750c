import path from "node:path";
import type { Deps } from "../app/deps";
import { createLocalCorpus } from "../data/local";
import { createEngineClient } from "../runtime/engine-client";
import { workspaceRoot } from "../disk/layout";
import { locateEngine } from "../runtime/locate";
import { Output } from "./output";

export interface GlobalOptions {
  json?: boolean;
  root?: string;
}

/** What a command works with; `dispose` ends what was started. */
export interface Context extends Deps {
  out: Output;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  dispose(): void;
}

/** Builds a command's context; `near` is the file that the command is about. */
export function createContext(options: GlobalOptions, near: string): Context {
  const abort = new AbortController();
  const interrupt = (): void => abort.abort();
  process.once("SIGINT", interrupt);
  const corpus = createLocalCorpus();
  const engine = createEngineClient({ locate: () => locateEngine(__dirname, process.env["TILLAGE_NATIVE"]) });
  return {
    root: options.root ? path.resolve(options.root) : workspaceRoot(near),
    corpus,
    engine,
    out: new Output(options.json ?? false),
    signal: abort.signal,
    dispose: () => {
      process.removeListener("SIGINT", interrupt);
      corpus.dispose();
      engine.dispose();
    },
  };
}
