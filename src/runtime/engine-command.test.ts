import { describe, expect, it } from "vitest";
import { runEngineCommand } from "./engine-command";

/** Stands for the engine: Node with a program that prints. */
const ask = (program: string, options?: Parameters<typeof runEngineCommand>[2]): Promise<unknown> => runEngineCommand(process.execPath, ["-e", program, "--"], options);

describe("a command of the engine", () => {
  it("tells its progress and gives its result", async () => {
    const told: unknown[] = [];
    const program = `console.log('{"type":"progress","progress":{"done":1}}'); console.log('no json'); console.log('{"type":"measured","result":{"x":' + process.argv.includes("--json") + '}}')`;
    expect(await ask(program, { onProgress: (progress) => told.push(progress) })).toEqual({ x: true });
    expect(told).toEqual([{ done: 1 }]);
  });

  it("gives the engine's own error, or says how it ended", async () => {
    const error = { blame: "user", code: "unknown_shape", message: "m", remedy: "r" };
    await expect(ask(`console.error('note'); console.error('${JSON.stringify(error)}'); process.exitCode = 1`)).rejects.toMatchObject({ problem: error });
    await expect(ask("process.exitCode = 7")).rejects.toMatchObject({ problem: { code: "engine_died" } });
    await expect(runEngineCommand("/nowhere/tillage-native", [])).rejects.toMatchObject({ problem: { code: "engine_start" } });
  });

  it("is ended when nobody wants it any more", async () => {
    const abort = new AbortController();
    const waiting = ask("setInterval(() => {}, 1000); console.log('{\"type\":\"progress\",\"progress\":1}')", { signal: abort.signal, onProgress: () => abort.abort() });
    await expect(waiting).rejects.toMatchObject({ problem: { code: "cancelled" } });
    await expect(ask("", { signal: abort.signal })).rejects.toMatchObject({ problem: { code: "cancelled" } });
  });
});
