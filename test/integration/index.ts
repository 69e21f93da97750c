// Runs inside the extension host: loads the bundled suites beside it and writes what came out as JSON.
import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import Mocha from "mocha";

interface Outcome {
  name: string;
  ok: boolean;
  milliseconds: number;
  error?: string;
}

/** VS Code calls this; a rejection is the exit code 1. */
export async function run(): Promise<void> {
  const mocha = new Mocha({ ui: "bdd", timeout: 60_000, color: false });
  for (const file of readdirSync(__dirname)) if (file.endsWith(".test.js")) mocha.addFile(path.join(__dirname, file));
  const outcomes: Outcome[] = [];
  const note = (test: Mocha.Test | Mocha.Hook, ok: boolean, error?: Error): void => {
    outcomes.push({ name: test.fullTitle(), ok, milliseconds: test.duration ?? 0, ...(error ? { error: error.stack ?? error.message } : {}) });
  };
  const failures = await new Promise<number>((resolve) => {
    const runner = mocha.run(resolve);
    runner.on("pass", (test) => note(test, true));
    runner.on("fail", (test, error: Error) => note(test, false, error));
    runner.on("pending", (test) => note(test, false, new Error("This test is skipped, and none may be.")));
  });
  writeFileSync(path.join(__dirname, "results.json"), JSON.stringify(outcomes, null, 2));
  if (failures > 0 || outcomes.length === 0) throw new Error(`${failures} of ${outcomes.length} tests failed.`);
}
