import type { Clause } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import { bindPredicate, runPredicate } from "../predicate";
import { addMatching } from "./bit-query";
import { Bits } from "./bits";
import type { Codes } from "./codes";
import type { CorpusFile } from "./corpus-file";
import { conditionFault, conditionSql } from "./filter";
import { abortable, type Side } from "./side";

/** Rows that are searched at first, so that the first results come soon, and at most at once. */
const firstRows = 4096;
const mostRows = 524_288;
/** A search that nobody has asked about for so long stops, ms. It goes on from there when somebody does. */
const idle = 700;

/** The rows that match one clause, found from the first row on. */
export class Match {
  readonly bits: Bits;
  /** Rows, from the first on, that were looked at. */
  scanned = 0;
  private asked = Date.now();
  private waiting = 0;
  private working: Promise<void> | undefined;
  private steps: (() => void)[] = [];

  constructor(
    private readonly file: CorpusFile,
    private readonly side: Side,
    private readonly clause: Clause,
    private readonly stop: AbortSignal,
  ) {
    this.bits = new Bits(file.rows.count);
  }

  get complete(): boolean {
    return this.scanned >= this.file.rows.count;
  }

  /** Looks on until `enough`, which is asked after each stretch, or until a moment (by `Date.now`). An error is that of the clause. */
  async until(enough: () => boolean, late: number, codes: Codes | undefined, signal?: AbortSignal): Promise<void> {
    this.asked = Date.now();
    this.waiting++;
    try {
      while (!this.complete && !enough() && (late === Number.POSITIVE_INFINITY || Date.now() < late)) {
        this.working ??= this.work(codes).finally(() => (this.working = undefined));
        const step = new Promise<void>((resolve) => this.steps.push(resolve));
        const timer = late === Number.POSITIVE_INFINITY ? undefined : setTimeout(() => this.advance(), Math.max(0, late - Date.now()));
        await abortable(Promise.race([this.working, step]), signal).finally(() => {
          clearTimeout(timer);
        });
      }
    } finally {
      this.waiting--;
      this.asked = Date.now();
    }
  }

  private async work(codes: Codes | undefined): Promise<void> {
    if (codes && (await codes.match(this.clause, this.bits))) {
      this.scanned = this.file.rows.count;
      return;
    }
    await this.file.database.session(this.stop, (session) => this.scan(session));
  }

  private async scan(session: Session): Promise<void> {
    const { clause, file } = this;
    if (clause.kind === "sql") await bindPredicate(session, clause.predicate, "seen");
    const condition = conditionSql(file, clause);
    for (let size = firstRows; !this.complete; size = Math.min(size * 2, mostRows)) {
      if (this.waiting === 0 && Date.now() - this.asked > idle) return;
      const from = this.scanned;
      const to = file.rows.end(from, size);
      const run = () => addMatching(session, `(${this.rows(from, to)})`, condition, this.bits);
      try {
        await (clause.kind === "sql" ? runPredicate({}, run) : run());
      } catch (error) {
        throw conditionFault(error, clause);
      }
      this.scanned = to;
      this.advance();
    }
  }

  private advance(): void {
    for (const step of this.steps.splice(0)) step();
  }

  /** The rows with what the clause asks about: small columns from beside the file where they are there, and no more of the file than needed. */
  private rows(from: number, to: number): string {
    const { clause, file, side } = this;
    const beside = to <= side.done;
    if (clause.kind === "search") return file.rows.range(from, to);
    if (clause.kind === "sql") {
      if (!beside) return file.computed(from, to);
      const derived = file.derived().map(([name]) => `, s.${ident(name)}`).join("");
      const text = file.has("text") ? "" : `, ${file.text} AS text`;
      return `SELECT r.*${derived} FROM (SELECT *${text} FROM (${file.rows.range(from, to)})) r JOIN (${side.range(from, to)}) s USING (_tillage_pos)`;
    }
    const small = file.small.some((column) => column.name === clause.column);
    return small && beside ? side.range(from, to) : file.computed(from, to);
  }
}
