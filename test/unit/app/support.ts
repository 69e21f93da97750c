import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { Engine } from "../../../src/runtime/engine";

/** A workspace with one run in it, made anew before each test. */
export interface OneRun<Asked> {
  root: string;
  /** The folder of the run `tune`: SFT with the chat template on the model `base` in the root; nothing but `run.json` is in it. */
  run: string;
  /** What the engine was asked; its stand-in puts it here. */
  asked: Asked[];
  deps(): { root: string; engine: Engine };
}

/** The workspace of the tests of a file, with an engine of which only what `engine` gives is there. */
export function oneRun<Asked>(engine: (asked: Asked[]) => Partial<Engine>): OneRun<Asked> {
  const here: OneRun<Asked> = { root: "", run: "", asked: [], deps: () => ({ root: here.root, engine: engine(here.asked) as Engine }) };
  beforeEach(() => {
    here.root = mkdtempSync(path.join(tmpdir(), "tillage-app-"));
    here.run = path.join(here.root, ".tillage/runs/tune-1");
    here.asked = [];
    mkdirSync(here.run, { recursive: true });
    const spec = {
      version: 1, id: "tune-1", name: "tune", objective: "sft", model: { kind: "folder", path: "../../../base" },
      data: { train: [] }, template: { kind: "chat" }, loss_on: "assistant",
      train: { epochs: 1, batch_tokens: 64, context: 64, lr: 0.001, schedule: "cosine", seed: 1, checkpoint_every: 1 },
    };
    writeFileSync(path.join(here.run, "run.json"), JSON.stringify(spec));
  });
  afterEach(() => rmSync(here.root, { recursive: true, force: true }));
  return here;
}
