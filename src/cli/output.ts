/** How the command line speaks: tables and sentences for people on stderr and stdout, one JSON object for programs. */
import Table from "cli-table3";
import pc from "picocolors";
import type { BadRow } from "../protocol/corpus";
import { toProblem } from "../protocol/errors";
import type { Problem } from "../protocol/errors";

export interface Column {
  head: string;
  align?: "left" | "right";
  /** Widest text, characters; longer ones are wrapped. */
  width?: number;
}

/** A plain table without a frame, right-aligned where the column says so. */
export function table(columns: Column[], rows: (string | number)[][]): string {
  const chars = { top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "", left: "  ", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "  " };
  const made = new Table({
    head: columns.map((column) => pc.dim(column.head)),
    colAligns: columns.map((column) => column.align ?? "left"),
    colWidths: columns.map((column) => column.width ?? null),
    wordWrap: true,
    chars,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  for (const row of rows) made.push(row.map((cell) => (typeof cell === "number" ? cell.toLocaleString("en-US") : cell)));
  return made.toString().replace(/[ \t]+$/gmu, "");
}

const escape = String.fromCharCode(27);
const control = new RegExp(`(${escape}\\[[\\d;]*m)|(?![\\n\\t])\\p{Cc}`, "gu");

/** Rows, file names and what models say may hold control characters, which a terminal would obey: all go but line breaks, tabs and colours. */
export function visible(text: string): string {
  return text.replace(control, (_, colour: string | undefined) => colour ?? "\uFFFD");
}

/** Prints for people, or keeps still when a program listens. */
export class Output {
  constructor(readonly json: boolean) {}

  say(text = ""): void {
    if (!this.json) process.stdout.write(`${visible(text)}\n`);
  }

  title(text: string): void {
    this.say(`\n${pc.bold(text)}`);
  }

  result(value: unknown): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** Prints an error for its reader and gives the exit code: 1 user, 2 environment, 3 internal. */
  fail(error: unknown): number {
    const problem = toProblem(error);
    if (this.json) process.stdout.write(`${JSON.stringify({ ok: false, error: problem })}\n`);
    else process.stderr.write(`${visible(describe(problem))}\n`);
    return problem.blame === "user" ? 1 : problem.blame === "environment" ? 2 : 3;
  }
}

/** Broken rows that are named; all are counted. */
const namedBad = 5;

/** Rows that were kept out, each with its file, its line and what is wrong with it. */
export function sayBadRows(out: Output, of: { bad: BadRow[]; badRows: number }): void {
  if (of.badRows === 0) return;
  out.say(`  ${pc.yellow(`${of.badRows} ${of.badRows === 1 ? "row" : "rows"} could not be read and ${of.badRows === 1 ? "is" : "are"} kept out:`)}`);
  for (const bad of of.bad.slice(0, namedBad)) out.say(`    ${bad.file}:${bad.line} ${bad.reason}`);
  if (of.badRows > namedBad) out.say(`    and ${of.badRows - namedBad} more`);
  out.say("  Mend these lines where you want their rows; everything else is read.");
}

const whose: Record<Problem["blame"], string> = { user: "input", environment: "machine", internal: "defect in Tillage" };

/** What happened, whose fault it is, and what to do. */
export function describe(problem: Problem): string {
  // A message that names the file need not be told where.
  const where = problem.file && (problem.line || !problem.message.includes(problem.file)) ? `${problem.file}${problem.line ? `:${problem.line}` : ""}\n` : "";
  return `${pc.red("error")} (${whose[problem.blame]}, ${problem.code}): ${where}${problem.message}\n${pc.bold("what to do")}: ${problem.remedy}`;
}
