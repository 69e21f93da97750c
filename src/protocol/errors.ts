import { z } from "zod";

/** Whose fault an error is, and so who can mend it. */
export const blameSchema = z.enum(["user", "environment", "internal"]);
export type Blame = z.infer<typeof blameSchema>;

/** The one shape of an error on every boundary; the engine's `EngineError` is the same. */
export const problemSchema = z.object({
  blame: blameSchema,
  /** A stable word for programs, such as `unknown_column`. */
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
  file: z.string().nullish(),
  /** 1-based. */
  line: z.number().int().nullish(),
});
export type Problem = z.infer<typeof problemSchema>;

/** An error that says what happened, whose fault it is, and what to do. */
export class TillageError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem, options?: { cause?: unknown }) {
    super(problem.message, options);
    this.name = "TillageError";
    this.problem = problem;
  }

  static user(code: string, message: string, remedy: string, where: { file?: string; line?: number } = {}): TillageError {
    return new TillageError({ blame: "user", code, message, remedy, ...where });
  }

  static environment(code: string, message: string, remedy: string, where: { file?: string; line?: number } = {}): TillageError {
    return new TillageError({ blame: "environment", code, message, remedy, ...where });
  }

  static internal(code: string, message: string, options?: { cause?: unknown }): TillageError {
    const remedy = "This is a defect in Tillage: please report it with what you did before.";
    return new TillageError({ blame: "internal", code, message, remedy }, options);
  }
}

/** Anything that was thrown, as a problem; what is not a TillageError is internal. */
export function toProblem(error: unknown): Problem {
  if (error instanceof TillageError) return error.problem;
  const message = error instanceof Error ? error.message : String(error);
  return TillageError.internal("unexpected", message).problem;
}

/** One line for a terminal or a notification: where, what, and what to do. */
export function formatProblem(problem: Problem): string {
  const where = problem.file ? `${problem.file}${problem.line ? `:${problem.line}` : ""}: ` : "";
  return `${where}${problem.message} ${problem.remedy}`;
}
