import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import Module from "node:module";
import path from "node:path";
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

/** The shorter of wall time, which a busy machine lengthens, and processor time, which other threads lengthen; ms. */
const CLOCK = `
const wall = performance.now(), processor = process.cpuUsage();
const clock = () => { const { user, system } = process.cpuUsage(processor); return Math.min(performance.now() - wall, (user + system) / 1000); };`;

/** What a process of its own does: it loads the extension with things of the same names in the place of VS Code's, and prints how long that took. */
const LOAD = `
const Module = require("node:module");
const any = () => new Proxy(function () {}, { get: (_, key) => (key === Symbol.toPrimitive ? () => "" : any()), apply: any, construct: () => ({}) });
const stand = (what) => (what === "class" ? new Proxy(class {}, { get: (own, key) => (key in own ? own[key] : any()) }) : what === "namespace" ? any() : what);
const vscode = Object.fromEntries(Object.entries(JSON.parse(process.env.NAMES)).map(([name, what]) => [name, stand(what)]));
const load = Module._load;
Module._load = (request, ...rest) => (request === "vscode" ? vscode : load(request, ...rest));
${CLOCK}
require(process.env.EXTENSION);
process.stdout.write(String(clock()));`;

/** The yardstick: small functions that are read, compiled and called once, as an extension's code is. */
const COLD = `${CLOCK}
let sum = 0;
for (let i = 0; i < 1500; i++) sum += new Function("a", "class C" + i + " { constructor(x) { this.x = x; this.list = [x, " + i + "]; } get y() { return this.list.map((v) => String(v) + " + i + ").join(); } } const c = new C" + i + "(a); return { ...c, z: c.y }.z.length;")(i);
if (sum === 0) throw new Error("nothing was called");
process.stdout.write(String(clock()));`;

/** Names of VS Code's API with what stands for them: enumerations as they are, and whether the rest are classes or namespaces. */
function names(): string {
  const isEnumeration = (value: object): boolean => Object.values(value).some((item) => typeof item === "number");
  return JSON.stringify(Object.fromEntries(Object.entries(vscode).map(([name, value]: [string, unknown]) => [
    name, typeof value === "function" ? "class" : typeof value === "object" && value !== null ? (isEnumeration(value) ? value : "namespace") : value,
  ])));
}

/** Loads the extension's code, and the yardstick's, in turns in processes of VS Code's own Node; the shortest time is what each costs. */
function loadingTimes(main: string, times: number): { load: number; cold: number } {
  const env = { ...process.env, NAMES: names(), EXTENSION: main, ELECTRON_RUN_AS_NODE: "1" };
  const one = (script: string): number => Number(execFileSync(process.execPath, ["-e", script], { env, encoding: "utf8" }));
  const all = Array.from({ length: times }, () => ({ load: one(LOAD), cold: one(COLD) }));
  return { load: Math.min(...all.map((each) => each.load)), cold: Math.min(...all.map((each) => each.cold)) };
}

/** Counts the extension's activations and measures its activate(), as "Developer: Show Running Extensions" does. */
function timeActivation(folder: string): { activate: number; activations: number } {
  const times = { activate: 0, activations: 0 };
  const loader = Module as unknown as { _load: (this: unknown, request: string, ...rest: unknown[]) => unknown };
  const load = loader._load;
  loader._load = function (request, ...rest): unknown {
    if (!request.startsWith(folder) || !/extension(\.js)?$/.test(request)) return load.call(this, request, ...rest);
    loader._load = load;
    const exports = load.call(this, request, ...rest) as Exports;
    const activate = async (context: vscode.ExtensionContext): Promise<unknown> => {
      const called = performance.now();
      const api = await exports.activate(context);
      times.activate = performance.now() - called;
      times.activations += 1;
      return api;
    };
    return { ...exports, activate };
  };
  return times;
}

/** Loading and activation over the yardstick, at most: half as much again as was measured. */
const MOST = 2.6;

describe("activation", () => {
  // A time of its own would say more of the machine than of the extension.
  it("loads and activates in the time of its size", async () => {
    const extension = tillage();
    assert.equal(extension.isActive, false, "something activates the extension before it is needed");
    const { main } = extension.packageJSON as { main: string };
    const { load, cold } = loadingTimes(path.join(extension.extensionPath, main), 9);
    const times = timeActivation(extension.extensionPath);
    await extension.activate();
    assert.equal(times.activations, 1);
    assert.ok(load > 5, `loading took ${load.toFixed(1)} ms: that is not the extension`);
    const said = `loading took ${load.toFixed(1)} ms and activate() ${times.activate.toFixed(1)} ms; cold code ${cold.toFixed(1)} ms`;
    assert.ok(load + times.activate < MOST * cold, said);
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
