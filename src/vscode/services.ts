import type * as vscode from "vscode";
import type { CorpusApi } from "../protocol/corpus";
import type { Engine } from "../runtime/engine";

/** What the composition root hands to every feature. */
export interface Services {
  context: vscode.ExtensionContext;
  log: vscode.LogOutputChannel;
  /** Starts the corpus service at its first use. */
  corpus: CorpusApi;
  /** Starts the engine at its first use. */
  engine: Engine;
}

/** A feature adds its commands, views and editors, and gives back what has to go at the end. */
export type Feature = (services: Services) => vscode.Disposable;
