import type { CorpusApi } from "../protocol/corpus";
import type { Engine } from "../runtime/engine";

/** What every use case needs; the extension and the command line build it each in their way. */
export interface Deps {
  /** The folder that holds `.tillage/`. */
  root: string;
  corpus: CorpusApi;
  engine: Engine;
}
