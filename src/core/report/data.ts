/** What a report shows; gathered by `src/app/report.ts`, rendered by `renderReport`. */
import type { BuildResult, ReceiptRow } from "../../protocol/corpus";
import type { EvalResult } from "../eval/result";

export interface ReportCurve {
  name: string;
  objective: string;
  adapter: boolean;
  parameters: number;
  trainable: number;
  steps: number;
  seconds: number;
  trainRows: number;
  trainTokens: number;
  step: number[];
  loss: number[];
  smoothed: number[];
  validation: { step: number; loss: number }[];
  first: number;
  last: number;
}

export interface ReportBuild {
  name: string;
  build: BuildResult;
  /** Receipts of each step, by its index: some of the rows that left it or were changed by it. */
  receipts: ReceiptRow[][];
  /** What the recipe would have taken out, where its steps were skipped. */
  skipped: BuildResult["steps"];
}

export interface ReportEval {
  title: string;
  /** Results of one eval file, to be shown side by side. */
  stages: EvalResult[];
  /** Ids of prompts that were found in the training rows. */
  leaked: string[];
}

export interface ReportData {
  title: string;
  /** RFC 3339. */
  time: string;
  raw: boolean;
  builds: ReportBuild[];
  curves: ReportCurve[];
  /** The first one gives the scores at the top. */
  evals: ReportEval[];
}
