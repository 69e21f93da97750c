import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Event } from "../protocol/native.gen";
import { EventLines, followRun } from "./follow";
import type { EventBatch, Follower } from "./follow";

const warning = (step: number, message = "café"): string => JSON.stringify({ type: "warning", step, code: "cut_rows", message });

describe("the lines of an events file", () => {
  it("keeps a torn last line until the rest of it comes, also inside a character", () => {
    const lines = new EventLines();
    const bytes = Buffer.from(`${warning(1)}\n${warning(2)}\n`);
    const cut = bytes.length - 2;
    const torn = bytes.indexOf(0xc3, bytes.indexOf(10)) + 1;
    expect(lines.push(bytes.subarray(0, torn)).events.map((event) => "step" in event && event.step)).toEqual([1]);
    expect(lines.push(bytes.subarray(torn, cut)).events).toEqual([]);
    const last = lines.push(bytes.subarray(cut)).events;
    expect(last).toEqual([{ type: "warning", step: 2, code: "cut_rows", message: "café" }]);
  });

  it("names the line that is not an event and goes on", () => {
    const result = new EventLines().push(Buffer.from(`${warning(1)}\n{"type":"step","step":-1}\nnot json\n${warning(2)}\n`));
    expect(result.events).toHaveLength(2);
    expect(result.bad.map((bad) => bad.line)).toEqual([2, 3]);
  });
});

describe("following a run", () => {
  let dir: string;
  let file: string;
  let follower: Follower | undefined;
  let batches: EventBatch[];
  const steps = (): number[] => {
    let seen: Event[] = [];
    for (const batch of batches) seen = batch.reset ? [...batch.events] : [...seen, ...batch.events];
    return seen.map((event) => ("step" in event ? event.step : -1));
  };

  beforeEach(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), "tillage-follow-"));
    file = path.join(dir, "events.jsonl");
    batches = [];
  });
  afterEach(() => {
    follower?.dispose();
    rmSync(dir, { recursive: true, force: true });
  });
  const follow = (): Promise<void> => {
    follower = followRun(dir, (batch) => batches.push(batch), { pollMs: 20 });
    return follower.caughtUp;
  };

  it("gives what is there, then what comes, and waits for a file that is not there yet", async () => {
    await follow();
    expect(batches).toEqual([]);
    writeFileSync(file, `${warning(1)}\n`);
    await vi.waitFor(() => expect(steps()).toEqual([1]));
    appendFileSync(file, warning(2).slice(0, 20));
    appendFileSync(file, `${warning(2).slice(20)}\n${warning(3)}\n`);
    await vi.waitFor(() => expect(steps()).toEqual([1, 2, 3]));
  });

  it("starts again when a resume cut the file", async () => {
    writeFileSync(file, `${warning(1)}\n${warning(2)}\n${warning(3)}\n`);
    await follow();
    expect(steps()).toEqual([1, 2, 3]);
    writeFileSync(path.join(dir, "new"), `${warning(1)}\n`);
    renameSync(path.join(dir, "new"), file);
    await vi.waitFor(() => expect(steps()).toEqual([1]));
    expect(batches.some((batch) => batch.reset)).toBe(true);
  });

  it("starts again when the file is cut where it lies, and forgets a torn line and how many there were", async () => {
    writeFileSync(file, `${warning(1)}\n${warning(2)}\n${warning(3).slice(0, 20)}`);
    await follow();
    expect(steps()).toEqual([1, 2]);
    writeFileSync(file, `${warning(7)}\nno event\n`);
    await vi.waitFor(() => expect(steps()).toEqual([7]));
    expect(batches.flatMap((batch) => batch.bad.map((bad) => bad.line))).toEqual([2]);
  });

  it("notices a replacement that is already longer than what was read", async () => {
    writeFileSync(file, `${warning(1)}\n`);
    await follow();
    writeFileSync(path.join(dir, "new"), `${warning(7)}\n${warning(8)}\n${warning(9)}\n`);
    renameSync(path.join(dir, "new"), file);
    await vi.waitFor(() => expect(steps()).toEqual([7, 8, 9]));
  });

  it("reads a file of several megabytes whole", async () => {
    const count = 20_000;
    writeFileSync(file, Array.from({ length: count }, (_value, index) => `${warning(index, "x".repeat(120))}\n`).join(""));
    await follow();
    expect(steps()).toHaveLength(count);
    expect(batches.length).toBeGreaterThan(1);
  });

  it("says nothing after it was disposed of", async () => {
    writeFileSync(file, `${warning(1)}\n`);
    await follow();
    follower?.dispose();
    const before = batches.length;
    appendFileSync(file, `${warning(2)}\n`);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(batches).toHaveLength(before);
  });
});
