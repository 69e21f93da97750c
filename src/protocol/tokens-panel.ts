/** What the tokens panel and its host say to each other. */
import type { Problem } from "./errors";
import type { LossOn, Row, Template, TokensResult } from "./native.gen";

export interface TokensModel {
  /** Relative to the workspace where it is inside. */
  label: string;
  path: string;
}

/** How a row becomes tokens. */
export interface TokensSettings {
  template: Template;
  lossOn: LossOn;
  /** The longest row in tokens. */
  context: number;
}

/** The file's row that is shown; absent for typed text. */
export interface TokensOrigin {
  path: string;
  row: number;
  /** Rows of the file, and the row's 0-based place among them. */
  rows: number;
  position: number;
  /** The rows before and behind it; null where there is none. */
  previous: number | null;
  next: number | null;
}

export interface TokensState {
  models: TokensModel[];
  model: TokensModel | null;
  /** Where the settings come from, such as `pretrain.run.yaml`; null when they are the panel's own. */
  settingsFrom: string | null;
  settings: TokensSettings;
  origin: TokensOrigin | null;
  row: Row;
  result: TokensResult | null;
  loading: boolean;
  problem: Problem | null;
}

export type TokensUpdate = Partial<TokensState>;

export type TokensApi = {
  pickModel: (params: { path: string }) => Promise<null>;
  /** A model folder outside the workspace. */
  browseModel: (params: null) => Promise<null>;
  setSettings: (params: TokensSettings) => Promise<null>;
  setRow: (params: { row: Row }) => Promise<null>;
  /** Another row of the same file. */
  goTo: (params: { row: number }) => Promise<null>;
  openSource: (params: null) => Promise<null>;
  retry: (params: null) => Promise<null>;
};
