import type {
  AttributeParams, AttributeProgress, AttributeResult, BenchProgress, BenchResult, ExportNotification, ExportParams, ExportResult, GenerateParams, GenerateResult, InitializeResult, InspectParams, InspectResult, PreflightResult, RunSpec, ScoreParams, ScoreProgress, ScoreResult, TokenNotification, TokensParams, TokensResult,
} from "../protocol/native.gen";

/** The client of `tillage-native`: one server process for questions, one detached process for each run. */
export interface Engine {
  initialize(): Promise<InitializeResult>;
  generate(params: GenerateParams, options?: { signal?: AbortSignal; onToken?: (token: TokenNotification) => void }): Promise<GenerateResult>;
  tokens(params: TokensParams, signal?: AbortSignal): Promise<TokensResult>;
  inspect(params: InspectParams, signal?: AbortSignal): Promise<InspectResult>;
  preflight(spec: RunSpec, signal?: AbortSignal): Promise<PreflightResult>;
  /** Scores a file's rows into another file. */
  score(params: ScoreParams, options?: { signal?: AbortSignal; onProgress?: (progress: ScoreProgress) => void }): Promise<ScoreResult>;
  /** Ranks a run's training rows by their influence on outputs. */
  attribute(params: AttributeParams, options?: { signal?: AbortSignal; onProgress?: (progress: AttributeProgress) => void }): Promise<AttributeResult>;
  /** Measures the engine, in a process of its own; `args` are those of `tillage-native bench`. */
  bench(args: readonly string[], options?: { signal?: AbortSignal; onProgress?: (progress: BenchProgress) => void }): Promise<BenchResult>;
  /** Writes a model for other programs. */
  export(params: ExportParams, options?: { signal?: AbortSignal; onProgress?: (progress: ExportNotification) => void }): Promise<ExportResult>;
  /** Starts a run that outlives this process. Its folder, with `run.json` inside, is the only shared state. */
  startRun(runDir: string): Promise<{ pid: number }>;
  dispose(): void;
}
