import type {
  ExportNotification, ExportParams, ExportResult, GenerateParams, GenerateResult, InitializeResult, InspectParams, InspectResult, PreflightResult, RunSpec, ScoreParams, ScoreProgress, ScoreResult, TokenNotification, TokensParams, TokensResult,
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
  /** Writes a model for other programs. */
  export(params: ExportParams, options?: { signal?: AbortSignal; onProgress?: (progress: ExportNotification) => void }): Promise<ExportResult>;
  /** Starts a run that outlives this process. Its folder, with `run.json` inside, is the only shared state. */
  startRun(runDir: string): Promise<{ pid: number }>;
  dispose(): void;
}
