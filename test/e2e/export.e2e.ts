import { closeSync, cpSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, open, pictureOfFailure } from "./context";
import { acceptPlace } from "./pages/dialog";
import { notification, press } from "./pages/notifications";
import { until } from "./pages/poll";

/** A finished run of a model so large that its export can be cancelled: llama of 0.3 billion parameters, all of them zero. */
function largeRun(workspace: string): void {
  const runs = path.join(workspace, ".tillage/runs");
  const from = readdirSync(runs).find((name) => name.startsWith("pretrain-"));
  if (!from) throw new Error("The loop has no pretrained model.");
  const dir = path.join(runs, from.replace("pretrain", "large"));
  mkdirSync(path.join(dir, "model"), { recursive: true });
  const spec = JSON.parse(readFileSync(path.join(runs, from, "run.json"), "utf8")) as Record<string, unknown>;
  writeFileSync(path.join(dir, "run.json"), JSON.stringify({ ...spec, name: "large", id: path.basename(dir) }));
  cpSync(path.join(runs, from, "events.jsonl"), path.join(dir, "events.jsonl"));
  for (const file of readdirSync(path.join(runs, from, "model"))) {
    if (!file.endsWith(".safetensors")) cpSync(path.join(runs, from, "model", file), path.join(dir, "model", file));
  }
  const configFile = path.join(dir, "model/config.json");
  const config = { ...(JSON.parse(readFileSync(configFile, "utf8")) as { vocab_size: number }), hidden_size: 1536, intermediate_size: 6144, num_hidden_layers: 8, num_attention_heads: 12, num_key_value_heads: 12, head_dim: 128 };
  writeFileSync(configFile, JSON.stringify(config));
  const shapes: Record<string, number[]> = { "model.embed_tokens.weight": [config.vocab_size, 1536], "model.norm.weight": [1536] };
  for (let layer = 0; layer < 8; layer++) {
    const at = `model.layers.${layer}`;
    for (const name of ["q", "k", "v", "o"]) shapes[`${at}.self_attn.${name}_proj.weight`] = [1536, 1536];
    for (const name of ["gate", "up"]) shapes[`${at}.mlp.${name}_proj.weight`] = [6144, 1536];
    shapes[`${at}.mlp.down_proj.weight`] = [1536, 6144];
    for (const name of ["input", "post_attention"]) shapes[`${at}.${name}_layernorm.weight`] = [1536];
  }
  let end = 0;
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const begin = end;
    end += 4 * shape.reduce((product, size) => product * size, 1);
    return [name, { dtype: "F32", shape, data_offsets: [begin, end] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(tensors)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  // A file of zeros that takes no room on the disk.
  const file = openSync(path.join(dir, "model/model.safetensors"), "w");
  writeSync(file, Buffer.concat([length, header]));
  ftruncateSync(file, 8 + header.length + end);
  closeSync(file);
}

describe("Export", () => {
  let code: VsCode;
  beforeAll(async () => {
    code = await open(loop());
    largeRun(code.workspace);
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());
  const at = (...names: string[]): string => path.join(code.workspace, ...names);

  /** Goes through the questions of the command; `place` is what the dialog suggests when absent. */
  async function exportRun(run: string, format: string, place?: string, replace = false): Promise<void> {
    await code.runCommand("Tillage: Export model…");
    await code.choose(run);
    await code.choose(format);
    const dialog = code.page.locator(".quick-input-widget input.input:visible");
    await until("the dialog for the place", () => dialog.inputValue(), (value) => value.includes(path.sep));
    if (place !== undefined) {
      await dialog.fill(at(place));
      // The dialog reads the folder behind what is typed before it takes it.
      await code.page.waitForTimeout(1_000);
    }
    await acceptPlace(code, replace);
  }

  it("asks for a format, writes it to the suggested place, says how large it is, and shows it", async () => {
    await code.runCommand("Tillage: Export model…");
    await code.choose("tune");
    const rows = code.page.locator(".quick-input-list .monaco-list-row");
    await until("the formats", () => rows.allInnerTexts(), (texts) => texts.some((text) => text.includes("PEFT adapter")));
    await code.screenshotThemes("export-formats");
    await code.page.keyboard.press("Escape");
    await exportRun("tune", "GGUF, 8 bits");
    const said = notification(code, /tune was written to tune-q8_0\.gguf \([\d.]+ MB\)/);
    await said.waitFor({ timeout: 60_000 });
    expect(readFileSync(at("tune-q8_0.gguf")).subarray(0, 4).toString()).toBe("GGUF");
    await code.screenshotThemes("export-done");
    await press(said, "Show in explorer");
    await code.page.locator(".explorer-folders-view .monaco-list-row.focused, .explorer-folders-view .monaco-list-row.selected", { hasText: "tune-q8_0.gguf" }).first().waitFor();
  });

  it("suggests a name that is free, and writes folders", async () => {
    await exportRun("tune", "GGUF, 8 bits");
    await notification(code, "tune-q8_0-2.gguf").waitFor({ timeout: 60_000 });
    await exportRun("tune", "PEFT adapter");
    await notification(code, "tune was written to tune-peft").waitFor({ timeout: 60_000 });
    expect(readdirSync(at("tune-peft"))).toEqual(expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors"]));
    await code.clearNotifications();
  });

  it("replaces a file where the person said so", async () => {
    const before = readFileSync(at("tune-q8_0.gguf"));
    writeFileSync(at("tune-q8_0.gguf"), "old");
    await exportRun("tune", "GGUF, 8 bits", "tune-q8_0.gguf", true);
    await notification(code, "tune was written to tune-q8_0.gguf").waitFor({ timeout: 60_000 });
    expect(readFileSync(at("tune-q8_0.gguf")).equals(before)).toBe(true);
    expect(readdirSync(code.workspace).filter((name) => name.includes(".old-"))).toEqual([]);
    expect(code.read("tune-q8_0.Modelfile")).toContain("FROM ./tune-q8_0.gguf");
    await code.clearNotifications();
  });

  /** How long the whole export of the large model takes here, ms. */
  let whole = 0;

  it("writes a large model", { timeout: 240_000 }, async () => {
    await exportRun("large", "GGUF, 8 bits");
    const started = Date.now();
    await notification(code, "large was written to large-q8_0.gguf").waitFor({ timeout: 180_000 });
    whole = Date.now() - started;
    expect(statSync(at("large-q8_0.gguf")).size).toBeGreaterThan(3e8);
    for (const end of ["gguf", "Modelfile"]) rmSync(at(`large-q8_0.${end}`));
    await code.clearNotifications();
  });

  it("of a large model is cancelled, and leaves nothing of it", { timeout: 240_000 }, async () => {
    const before = readdirSync(code.workspace);
    await exportRun("large", "GGUF, 8 bits");
    const shown = notification(code, "Exporting large");
    await shown.waitFor();
    await code.screenshot("export-progress");
    await press(shown, "Cancel");
    await shown.waitFor({ state: "hidden", timeout: 60_000 });
    // Twice as long as the whole export takes: its file would be there by now.
    await code.page.waitForTimeout(2 * whole + 5_000);
    expect(readdirSync(code.workspace)).toEqual(before);
    expect(await code.notifications()).toEqual([]);
  });

  it("of weights that were cut says so, and shows where they are", async () => {
    const run = readdirSync(at(".tillage/runs")).find((name) => name.startsWith("tune-"));
    expect(run).toBeDefined();
    truncateSync(at(".tillage/runs", run ?? "", "adapter/adapter_model.safetensors"), 1_000);
    await exportRun("tune", "GGUF, 8 bits");
    const said = notification(code, "adapter_model.safetensors is not a whole safetensors file");
    await said.waitFor({ timeout: 60_000 });
    await code.screenshotThemes("export-cut");
    await press(said, "Show in explorer");
    await code.page.locator(".explorer-folders-view .monaco-list-row.selected", { hasText: "adapter_model.safetensors" }).first().waitFor();
  });
});
