import { describe, expect, it } from "vitest";
import type { Page } from "../../src/protocol/corpus";
import { PAGE_ROWS, Pages } from "./pages";

interface Asked {
  offset: number;
  signal: AbortSignal;
  answer: (total?: number) => Promise<void>;
  fail: (error: Error) => Promise<void>;
}

function setUp(total = 10_000): { pages: Pages; asked: Asked[]; errors: unknown[] } {
  const asked: Asked[] = [];
  const errors: unknown[] = [];
  const fetchPage = (offset: number, limit: number, signal: AbortSignal): Promise<Page> =>
    new Promise((resolve, reject) => {
      const rows = Array.from({ length: Math.max(0, Math.min(limit, total - offset)) }, (_, index) => ({ row: offset + index, cells: [] }));
      const settled = (): Promise<void> => new Promise((done) => setTimeout(done));
      asked.push({
        offset, signal,
        answer: (count = total) => (resolve({ rows, total: count }), settled()),
        fail: (error) => (reject(error), settled()),
      });
    });
  return { pages: new Pages(fetchPage, () => undefined, (error) => errors.push(error)), asked, errors };
}

describe("Pages", () => {
  it("asks for each page in view once", async () => {
    const { pages, asked } = setUp();
    pages.want(90, 130);
    pages.want(95, 135);
    expect(asked.map((one) => one.offset)).toEqual([0, PAGE_ROWS]);
    await asked[1]?.answer();
    expect(pages.row(120)?.row).toBe(120);
    expect(pages.row(20)).toBeUndefined();
    expect(pages.total).toBe(10_000);
  });

  it("does not ask for the page after the last row in view", () => {
    const { pages, asked } = setUp();
    pages.want(0, PAGE_ROWS);
    expect(asked.map((one) => one.offset)).toEqual([0]);
  });

  it("cancels pages that the view has left, and drops what they bring", async () => {
    const { pages, asked } = setUp();
    pages.want(0, 40);
    pages.want(5000, 5040);
    expect(asked[0]?.signal.aborted).toBe(true);
    await asked[0]?.answer();
    expect(pages.row(0)).toBeUndefined();
    await asked[1]?.answer();
    expect(pages.row(5000)?.row).toBe(5000);
    expect(pages.busy).toBe(false);
  });

  it("does not ask beyond the end", async () => {
    const { pages, asked } = setUp(30);
    pages.want(0, 40);
    await asked[0]?.answer();
    pages.want(0, 400);
    expect(asked).toHaveLength(1);
  });

  it("reports a failure, but none after its end", async () => {
    const { pages, asked, errors } = setUp();
    pages.want(0, 40);
    await asked[0]?.fail(new Error("bad predicate"));
    expect(errors).toHaveLength(1);
    pages.want(0, 40);
    pages.end();
    await asked[1]?.fail(new Error("late"));
    expect(errors).toHaveLength(1);
    expect(asked[1]?.signal.aborted).toBe(true);
  });

  it("forgets far pages when there are many", async () => {
    const { pages, asked } = setUp(100_000);
    for (let page = 0; page < 80; page++) {
      pages.want(page * PAGE_ROWS, page * PAGE_ROWS + 10);
      await asked.at(-1)?.answer();
    }
    expect(pages.row(79 * PAGE_ROWS)).toBeDefined();
    expect(pages.row(0)).toBeUndefined();
  });
});
