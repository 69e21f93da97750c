import type {
  GenerateParams, GenerateResult, InitializeResult, InspectParams, InspectResult, PreflightResult, RunSpec, TokenNotification, TokensParams, TokensResult,
} from "../protocol/native.gen";

/** The client of `tillage-native`: one server process for questions, one detached process for each run. */
export interface Engine {
  initialize(): Promise<InitializeResult>;
  generate(params: GenerateParams, options?: { signal?: AbortSignal; onToken?: (token: TokenNotification) => void }): Promise<GenerateResult>;
  tokens(params: TokensParams, signal?: AbortSignal): Promise<TokensResult>;
  inspect(params: InspectParams, signal?: AbortSignal): Promise<InspectResult>;
  preflight(spec: RunSpec, signal?: AbortSignal): Promise<PreflightResult>;
  /** Starts a run that outlives this process. Its folder, with `run.json` inside, is the only shared state. */
  startRun(runDir: string): Promise<{ pid: number }>;
  dispose(): void;
}
