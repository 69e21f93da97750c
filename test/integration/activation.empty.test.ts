import assert from "node:assert/strict";
import Module from "node:module";
import { describe, it } from "mocha";
import * as vscode from "vscode";

interface Contributions {
  commands: { command: string; title: string; category?: string }[];
  customEditors: { viewType: string; selector: { filenamePattern: string }[] }[];
  views: Record<string, { id: string; name: string }[]>;
}

function tillage(): vscode.Extension<unknown> {
  const extension = vscode.extensions.getExtension("tillage.tillage");
  assert.ok(extension, "the extension is not installed");
  return extension;
}

function contributions(): Contributions {
  return (tillage().packageJSON as { contributes: Contributions }).contributes;
}

interface Exports {
  activate(context: vscode.ExtensionContext): unknown;
}

/** Processor time of this process so far, ms: what the extension costs is the same however busy the machine is. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * Measures what the extension itself costs, as "Developer: Show Running Extensions" does: loading its code and its activate().
 * What VS Code needs for the messages around it is left out. Nothing of this waits, so processor time is what a person waits
 * on a machine that is not busy.
 */
function timeActivation(folder: string): { load: number; activate: number; activations: number } {
  const times = { load: 0, activate: 0, activations: 0 };
  const loader = Module as unknown as { _load: (this: unknown, request: string, ...rest: unknown[]) => unknown };
  const load = loader._load;
  loader._load = function (request, ...rest): unknown {
    if (!request.startsWith(folder) || !/extension(\.js)?$/.test(request)) return load.call(this, request, ...rest);
    loader._load = load;
    const started = processorTime();
    const exports = load.call(this, request, ...rest) as Exports;
    times.load = processorTime() - started;
    const activate = async (context: vscode.ExtensionContext): Promise<unknown> => {
      const called = processorTime();
      const api = await exports.activate(context);
      times.activate = processorTime() - called;
      times.activations += 1;
      return api;
    };
    return { ...exports, activate };
  };
  return times;
}

describe("activation", () => {
  it("loads and activates in less than 100 ms", async () => {
    const extension = tillage();
    assert.equal(extension.isActive, false, "something activates the extension before it is needed");
    const times = timeActivation(extension.extensionPath);
    await extension.activate();
    assert.equal(times.activations, 1);
    const milliseconds = times.load + times.activate;
    assert.ok(milliseconds < 100, `loading took ${times.load.toFixed(1)} ms and activate() ${times.activate.toFixed(1)} ms`);
  });

  it("registers every command that it contributes", async () => {
    await tillage().activate();
    const registered = new Set(await vscode.commands.getCommands(true));
    const missing = contributions().commands.filter((item) => !registered.has(item.command));
    assert.ok(contributions().commands.length > 0);
    assert.deepEqual(missing.map((item) => item.command), []);
  });

  it("puts every command under the category Tillage", () => {
    assert.deepEqual(contributions().commands.filter((item) => item.category !== "Tillage"), []);
  });

  it("contributes the corpus editor for Parquet, JSONL and CSV", () => {
    const patterns = contributions().customEditors.flatMap((editor) => editor.selector.map((item) => item.filenamePattern));
    for (const ending of ["parquet", "jsonl", "csv"]) assert.ok(patterns.some((pattern) => pattern.includes(ending)), `nothing opens .${ending}: ${patterns.join(" ")}`);
  });

  it("contributes the explorer's views", async () => {
    const views = Object.values(contributions().views).flat();
    assert.ok(views.length > 0);
    const registered = new Set(await vscode.commands.getCommands(true));
    assert.deepEqual(views.filter((view) => !registered.has(`${view.id}.focus`)).map((view) => view.id), []);
  });
});
