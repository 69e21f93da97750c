import { afterEach, expect, it, vi } from "vitest";
import { TillageError } from "../protocol/errors";
import { Output, visible } from "./output";

afterEach(() => vi.restoreAllMocks());

/** What is written while something is done. */
function written(work: () => void): { out: string; err: string } {
  const told = { out: "", err: "" };
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((told.out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((told.err += String(text)), true));
  work();
  vi.restoreAllMocks();
  return told;
}

it("a terminal is told nothing by the texts that it shows: line breaks, tabs and colours stay, other control characters do not", () => {
  expect(visible("a\n\tb \u001b[31mred\u001b[0m")).toBe("a\n\tb \u001b[31mred\u001b[0m");
  expect(visible("\u001b]0;title\u0007 \u001b[2J \r \u009b31m \u0000")).toBe("\uFFFD]0;title\uFFFD \uFFFD[2J \uFFFD \uFFFD31m \uFFFD");
  const told = written(() => {
    new Output(false).say("a row \u001b[2J");
    new Output(false).fail(TillageError.user("odd", "A file \u001b[2J.", "Rename it."));
  });
  expect(told.out).toBe("a row \uFFFD[2J\n");
  expect(told.err).toContain("A file \uFFFD[2J.");
});

it("whose fault an error is decides the exit code", () => {
  const codes: number[] = [];
  written(() => {
    const out = new Output(true);
    for (const error of [TillageError.user("a", "b", "c"), TillageError.environment("a", "b", "c"), TillageError.internal("a", "b"), new Error("thrown")]) codes.push(out.fail(error));
  });
  expect(codes).toEqual([1, 2, 3, 3]);
});

it("a program is told one object and nothing else", () => {
  const told = written(() => {
    const out = new Output(true);
    out.title("for people");
    out.say("for people");
    out.result({ rows: 1 });
  });
  expect(told).toEqual({ out: '{"rows":1}\n', err: "" });
  expect(written(() => new Output(false).result({ rows: 1 }))).toEqual({ out: "", err: "" });
});
