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

/** What a system call failed with, by its code: the problem's code, what it says of the path, and the remedy. */
const systemFaults: Record<string, readonly [code: string, says: string, remedy: string]> = {
  ENOSPC: ["disk_full", "cannot be written: there is no room left on the disk", "Free some space and start again; nothing half-written is kept."],
  EDQUOT: ["disk_full", "cannot be written: the disk quota is used up", "Free some space and start again; nothing half-written is kept."],
  EROFS: ["cannot_write", "cannot be written: the disk is read-only", "Work on a copy of the workspace on a disk that can be written."],
  EACCES: ["permission_denied", "may not be opened or written by this user", "Change its permissions, or those of its folder, and start again."],
  EPERM: ["permission_denied", "may not be opened or written by this user", "Change its permissions, or those of its folder, and start again."],
  EEXIST: ["cannot_write", "cannot be made: something else stands there", "Move what stands there, and start again."],
  ENOTDIR: ["cannot_write", "cannot be reached: something above it is a file", "Move that file, and start again."],
  EMFILE: ["too_many_files", "cannot be opened: too many files are open", "Close other programs and start again."],
  EIO: ["disk_error", "cannot be read or written: the disk reports an error", "Check the disk; work on a copy elsewhere."],
};

/** What a system call threw, as the environment's problem; undefined when it is nothing that a machine's user can mend. */
export function systemProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  const fault = Object.hasOwn(systemFaults, error.code) ? systemFaults[error.code] : undefined;
  if (!fault) return undefined;
  const [code, says, remedy] = fault;
  const file = "path" in error && typeof error.path === "string" ? error.path : undefined;
  return { blame: "environment", code, message: `${file ?? "A file"} ${says}.`, remedy, ...(file === undefined ? {} : { file }) };
}

/** Anything that was thrown, as a problem; what is neither a TillageError nor the machine's fault is internal. */
export function toProblem(error: unknown): Problem {
  if (error instanceof TillageError) return error.problem;
  const system = systemProblem(error);
  if (system) return system;
  const message = error instanceof Error ? error.message : String(error);
  return TillageError.internal("unexpected", message).problem;
}

/** One line for a terminal or a notification: where, what, and what to do. */
export function formatProblem(problem: Problem): string {
  const where = problem.file ? `${problem.file}${problem.line ? `:${problem.line}` : ""}: ` : "";
  return `${where}${problem.message} ${problem.remedy}`;
}
