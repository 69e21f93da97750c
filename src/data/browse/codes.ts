import { randomUUID } from "node:crypto";
import { renameSync, rmSync, readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { setImmediate as pause } from "node:timers/promises";
import { z } from "zod";
import { writeAtomic } from "../../disk/atomic";
import type { Clause } from "../../protocol/corpus";
import type { Database, Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import { basesOf, baseSchema, codeSql, otherCode, noneCode, type Base } from "./bases";
import { Bits } from "./bits";
import { addMatching } from "./bit-query";
import type { CorpusFile } from "./corpus-file";
import { columnSql } from "./filter";
import type { Side } from "./side";

/** The table of the small columns. */
const relation = "beside.side";

const savedSchema = z.object({ rows: z.number(), bases: z.array(baseSchema) });

/**
 * What facets count: of each row and counted column one byte, the number of its bin or value. Two columns share 16 bits, since the time goes
 * into the steps over the rows. They lie in memory (a byte a row and column) and in a file beside the corpus.
 */
export class Codes {
  private scratch = new Uint32Array(0);
  /** What was counted last, for the view and for each column with a condition of its own. */
  private readonly recent = new Map<string, { rows: Bits; counts: number[][] }>();

  private constructor(
    private readonly store: Database,
    readonly bases: readonly Base[],
    private readonly pairs: readonly Uint16Array[],
  ) {}

  /** Those of a corpus whose small columns are all there: from their file, or made now. */
  static async of(file: CorpusFile, side: Side, signal: AbortSignal): Promise<Codes> {
    const saved = readSaved(side, file.rows.count);
    const store = await side.whole();
    if (saved) return new Codes(store, saved, await readPairs(side, saved.length, file.rows.count));
    return store.session(signal, async (session) => {
      const bases = await basesOf(session, relation, file.small);
      const pairs = await makePairs(session, bases, file.rows.count);
      await save(side, bases, pairs, file.rows.count);
      return new Codes(store, bases, pairs);
    });
  }

  /** Whether a clause is on a counted column. */
  knows(clause: Clause): boolean {
    return (clause.kind === "range" || clause.kind === "in") && this.bases.some((base) => base.column === clause.column);
  }

  /** Sets the rows that match a clause on a counted column; false where it is about something else. */
  async match(clause: Clause, bits: Bits): Promise<boolean> {
    if (clause.kind !== "range" && clause.kind !== "in") return false;
    const index = this.bases.findIndex((base) => base.column === clause.column);
    const base = this.bases[index];
    if (!base) return false;
    const { wanted, unclear } = base.kind === "histogram" ? rangeCodes(base, clause) : valueCodes(base, clause);
    this.fill(index, wanted, bits);
    if (unclear.length > 0) await this.look(base, clause, unclear, bits);
    return true;
  }

  /** Rows of each bin or value of each column among `rows`, and for a column of `own` among its own. */
  async count(rows: Bits, own: ReadonlyMap<string, Bits>): Promise<number[][]> {
    const found = this.bases.map(() => [] as number[]);
    const ownOf = (index: number) => own.get(this.bases[index]?.column ?? "");
    const all = this.bases.map((_, index) => index);
    await this.countAmong("", rows, all.filter((index) => !ownOf(index)), found);
    for (const index of all) {
      const bits = ownOf(index);
      if (bits) await this.countAmong(this.bases[index]?.column ?? "", bits, [index], found);
    }
    return found;
  }

  /**
   * What changed since the last time is counted where that is less than all that matches, and what does not match where that is less still:
   * while a brush is drawn few rows come and go.
   */
  private async countAmong(who: string, rows: Bits, indices: readonly number[], found: number[][]): Promise<void> {
    if (indices.length === 0) return;
    const before = this.recent.get(who);
    const { from, changes } = nearest(rows, before && indices.every((index) => before.counts[index]) ? before.rows : undefined);
    const counts: number[][] = [];
    for (const index of indices) {
      const all = this.bases[index]?.all ?? [];
      counts[index] = [...(from === "none" ? all.map(() => 0) : from === "all" ? all : (before?.counts[index] ?? []))];
    }
    for (const { bits, many, sign } of changes) {
      if (many > this.scratch.length - 8) this.scratch = new Uint32Array(many + 8);
      const list = bits.list(many, this.scratch);
      for (const [pair, codes] of this.pairs.entries()) {
        const here = indices.filter((index) => index >> 1 === pair);
        if (here.length > 0) add(codes, list, here, sign, counts);
      }
    }
    // So that a page that is asked for meanwhile does not wait for all columns.
    await pause();
    for (const index of indices) found[index] = counts[index] ?? [];
    this.recent.set(who, { rows, counts });
  }

  /** Sets the rows whose code is wanted. */
  private fill(index: number, wanted: Uint8Array, bits: Bits): void {
    const codes = this.pairs[index >> 1] as Uint16Array;
    const shift = (index & 1) * 8;
    const { bytes, length } = bits;
    const whole = length >> 3;
    const is = (row: number): number => wanted[((codes[row] as number) >> shift) & 255] as number;
    for (let byte = 0, at = 0; byte < whole; byte++, at += 8) {
      bytes[byte] = (is(at) << 7) | (is(at + 1) << 6) | (is(at + 2) << 5) | (is(at + 3) << 4) | (is(at + 4) << 3) | (is(at + 5) << 2) | (is(at + 6) << 1) | is(at + 7);
    }
    for (let row = whole * 8; row < length; row++) if (is(row)) bits.set(row);
  }

  /** Asks DuckDB about the rows of codes whose values lie on both sides of a bound. */
  private async look(base: Base, clause: Extract<Clause, { kind: "range" | "in" }>, unclear: readonly number[], bits: Bits): Promise<void> {
    await this.store.session(undefined, async (session) => {
      const name = ident(base.column);
      // Values and not codes: a range of them is found without looking at each row.
      const near = base.kind === "histogram" && !unclear.includes(noneCode) ? unclear.map((code) => `${name} BETWEEN ${binRange(base, code).join(" AND ")}`).join(" OR ") : `${codeSql(base)} IN (${unclear.join(", ")})`;
      await addMatching(session, relation, `(${columnSql(clause, name)}) AND (${near})`, bits);
    });
  }
}

interface Way {
  from: "none" | "all" | "before";
  changes: { bits: Bits; many: number; sign: 1 | -1 }[];
}

/** The shortest way to the counts of these rows: from none, from all, or from those before; and what comes and goes on it. */
function nearest(rows: Bits, before: Bits | undefined): Way {
  const many = rows.count();
  const rest = rows.length - many;
  if (before) {
    const [come, go] = [rows.countWithout(before), before.countWithout(rows)];
    if (come + go < Math.min(many, rest)) {
      const changes: Way["changes"] = [];
      if (come > 0) changes.push({ bits: rows.copy().without(before), many: come, sign: 1 });
      if (go > 0) changes.push({ bits: before.copy().without(rows), many: go, sign: -1 });
      return { from: "before", changes };
    }
  }
  return rest < many ? { from: "all", changes: [{ bits: rows.not(), many: rest, sign: -1 }] } : { from: "none", changes: [{ bits: rows, many, sign: 1 }] };
}

/** Adds `sign` to the counts of the columns of one pair for each row. */
function add(codes: Uint16Array, rows: Uint32Array, indices: readonly number[], sign: 1 | -1, counts: number[][]): void {
  if (rows.length === 0) return;
  const sums = new Uint32Array(65_536);
  for (let i = 0; i < rows.length; i++) {
    const code = codes[rows[i] as number] as number;
    sums[code] = (sums[code] as number) + 1;
  }
  for (const index of indices) {
    const shift = (index & 1) * 8;
    const target = counts[index] ?? [];
    for (let both = 0; both < sums.length; both++) {
      const code = (both >> shift) & 255;
      if (sums[both] !== 0 && code < target.length) target[code] = (target[code] ?? 0) + sign * (sums[both] as number);
    }
  }
}

interface Wanted {
  wanted: Uint8Array;
  /** Codes whose values may lie on either side of a bound. */
  unclear: number[];
}

function rangeCodes(base: Extract<Base, { kind: "histogram" }>, clause: Extract<Clause, { kind: "range" | "in" }>): Wanted {
  const wanted = new Uint8Array(256);
  const unclear: number[] = [];
  const { bins } = base;
  if (clause.kind === "in") return { wanted, unclear: [...upTo(bins.count), noneCode] };
  const low = clause.min ?? Number.NEGATIVE_INFINITY;
  const high = clause.max ?? Number.POSITIVE_INFINITY;
  for (const code of upTo(bins.count)) {
    const [from, to] = binRange(base, code);
    if (low <= from && to <= high) wanted[code] = 1;
    else if (low <= to && from <= high) unclear.push(code);
  }
  // Infinities and NaN have no bin.
  if (base.nulls > 0) unclear.push(noneCode);
  return { wanted, unclear };
}

/** The least and greatest value that a bin may hold. Whole numbers end before the next bin; others are put into bins with a little slack (see `codeSql`). */
function binRange(base: Extract<Base, { kind: "histogram" }>, code: number): [number, number] {
  const { bins, integer } = base;
  const left = bins.start + code * bins.width;
  const right = left + bins.width;
  return [code === 0 ? base.min : integer ? Math.ceil(left - 1e-6) : left - 1e-6 * bins.width, code === bins.count - 1 ? base.max : integer ? Math.ceil(right - 1e-6) - 1 : right];
}

function valueCodes(base: Extract<Base, { kind: "categories" }>, clause: Extract<Clause, { kind: "range" | "in" }>): Wanted {
  const wanted = new Uint8Array(256);
  const all = [...upTo(base.values.length), otherCode];
  if (clause.kind === "range") return { wanted, unclear: all };
  const missing = clause.values.filter((value) => !base.values.includes(value));
  for (const [code, value] of base.values.entries()) wanted[code] = clause.values.includes(value) ? 1 : 0;
  return { wanted, unclear: missing.length > 0 && base.distinct > base.values.length ? [otherCode] : [] };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

async function makePairs(session: Session, bases: readonly Base[], rows: number): Promise<Uint16Array[]> {
  const pairs = Array.from({ length: Math.ceil(bases.length / 2) }, () => new Uint16Array(rows));
  if (bases.length === 0) return pairs;
  const columns = pairs.map((_, pair) => {
    const [low, high] = [bases[2 * pair], bases[2 * pair + 1]];
    return `${low ? codeSql(low) : "0"}::USMALLINT${high ? ` + 256::USMALLINT * ${codeSql(high)}::USMALLINT` : ""}`;
  });
  await session.chunks(`SELECT _tillage_pos::INTEGER, ${columns.join(", ")} FROM ${relation}`, ([positions, ...codes]) => {
    for (const [pair, values] of codes.entries()) {
      const target = pairs[pair] as Uint16Array;
      positions?.forEach((position, i) => (target[Number(position)] = Number(values[i])));
    }
  });
  return pairs;
}

async function save(side: Side, bases: readonly Base[], pairs: readonly Uint16Array[], rows: number): Promise<void> {
  const temporary = `${side.place("codes.bin")}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      for (const pair of pairs) await handle.write(Buffer.from(pair.buffer));
    } finally {
      await handle.close();
    }
    renameSync(temporary, side.place("codes.bin"));
  } finally {
    rmSync(temporary, { force: true });
  }
  // Last: who finds it finds the codes too.
  writeAtomic(side.place("codes.json"), JSON.stringify({ rows, bases }));
}

function readSaved(side: Side, rows: number): Base[] | undefined {
  try {
    const saved = savedSchema.parse(JSON.parse(readFileSync(side.place("codes.json"), "utf8")));
    const bytes = Math.ceil(saved.bases.length / 2) * rows * 2;
    return saved.rows === rows && statSync(side.place("codes.bin")).size === bytes ? saved.bases : undefined;
  } catch {
    // Not made yet, or damaged: they are made again.
    return undefined;
  }
}

async function readPairs(side: Side, columns: number, rows: number): Promise<Uint16Array[]> {
  const handle = await open(side.place("codes.bin"), "r");
  try {
    const pairs: Uint16Array[] = [];
    for (let pair = 0; pair < Math.ceil(columns / 2); pair++) {
      const codes = new Uint16Array(rows);
      await handle.read(Buffer.from(codes.buffer), 0, rows * 2, pair * rows * 2);
      pairs.push(codes);
    }
    return pairs;
  } finally {
    await handle.close();
  }
}
