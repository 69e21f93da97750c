/**
 * Bad input, end to end, through the `tillage` command as it ships: each gets a message that names the file, the line where there is one,
 * and the remedy; the sources stay as they were and nothing half-written is left.
 */
import { spawn } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { connectCorpusService } from "../../src/data/client";
import { TillageError } from "../../src/protocol/errors";
import { cli, lastJson, tillageIn } from "../harness/cli";
import type { Outcome } from "../harness/cli";

const root = path.resolve(import.meta.dirname, "../..");
const fixtures = path.join(root, "test/fixtures");
let workspace: string;
const at = (...names: string[]) => path.join(workspace, ...names);

const tillage = (...args: string[]): Promise<Outcome> => tillageIn(workspace, ...args);

const problemLine = z.object({ ok: z.literal(false), error: z.object({ blame: z.string(), code: z.string(), message: z.string(), remedy: z.string().min(10), file: z.string().nullish(), line: z.number().nullish() }) });

interface Wanted {
  exit: number;
  code: string;
  /** The file that the error names, relative to the workspace; absent where the run's own folder is named. */
  file?: string;
  line?: number;
  message: RegExp;
  /** An engine is at work in the workspace: what it has unfinished is its own. */
  live?: boolean;
}

/** Runs a command that has to fail, for people and for programs, and compares what they are told. */
async function refuse(args: string[], wanted: Wanted): Promise<void> {
  const before = sources();
  const outcome = await tillage("--json", ...args);
  const { error } = problemLine.parse(lastJson(outcome));
  expect(error).toMatchObject({ code: wanted.code, blame: { 1: "user", 2: "environment" }[wanted.exit] });
  expect(outcome.code).toBe(wanted.exit);
  expect(error.message).toMatch(wanted.message);
  if (wanted.file !== undefined) expect(error.file).toBe(at(wanted.file));
  expect(error.line ?? undefined).toBe(wanted.line);
  const shown = await tillage(...args);
  expect(shown.code).toBe(wanted.exit);
  expect(shown.stderr).toMatch(wanted.message);
  expect(shown.stderr).toContain("what to do: ");
  expect(shown.stderr).toContain(`${error.file ?? ""}${wanted.line === undefined ? "" : `:${wanted.line}`}`);
  expect(sources()).toEqual(before);
  if (!wanted.live) expect(leftovers()).toEqual([]);
}

/** Everything that the user wrote, as it is on the disk. */
function sources(): Record<string, string> {
  const files = readdirSync(workspace, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !entry.parentPath.includes(".tillage"));
  return Object.fromEntries(files.map((entry) => path.join(entry.parentPath, entry.name)).sort().map((file) => [file, readFileSync(file).toString("base64")]));
}

/** Unfinished files, unfinished datasets, and results of runs that were refused. */
function leftovers(): string[] {
  const all = readdirSync(at(".tillage"), { recursive: true, encoding: "utf8" });
  return all.filter((name) => /(^|\/)\.(tmp|building)-|\.tmp$/u.test(name) || /^runs\/refused[^/]*\/(model|adapter|checkpoints)$/u.test(name));
}

const write = (name: string, content: string | Buffer): void => {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
};
const recipe = (name: string, files: string, rest = ""): void => write(name, `tillage: 1\nsources:\n  s: { files: ${files}, as: text }\n${rest}`);

function runFile(name: string, model: string, more: { template?: string; data?: string; steps?: number; every?: number } = {}): void {
  write(name, `tillage: 1\nobjective: ${more.template === "chat" ? "sft" : "pretrain"}\ndata: ${more.data ?? "good.recipe.yaml"}\nmodel: ${model}\ntemplate: ${more.template ?? "plain"}\ntrain: { epochs: 10000, max_steps: ${more.steps ?? 4}, batch_tokens: 64, context: 32, lr: 1e-4, checkpoint_every: ${more.every ?? 2} }\nseed: 1\n`);
}

interface Tensors {
  /** Also `__metadata__`, which has no offsets. */
  header: Record<string, { dtype: string; shape: number[]; data_offsets?: [number, number] }>;
  data: Buffer;
}

/** Rewrites a safetensors file: the length of its header, the header as JSON, the bytes of the tensors. */
function editWeights(file: string, edit: (tensors: Tensors) => void): void {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const tensors: Tensors = { header: JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Tensors["header"], data: bytes.subarray(8 + length) };
  edit(tensors);
  const header = Buffer.from(JSON.stringify(tensors.header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(file, Buffer.concat([size, header, tensors.data]));
}

const tensor = "model.layers.0.self_attn.q_proj.weight";

/** A copy of the small model for a test to break. */
function model(name: string): string {
  mkdirSync(at(name));
  for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]) cpSync(path.join(fixtures, "engine/llama", file), at(name, file));
  return at(name);
}

/** Engines that outlive the command that started them: a test that fails must leave none at work. */
const engines: number[] = [];

const runsOf = (name: string): string[] => (existsSync(at(".tillage/runs")) ? readdirSync(at(".tillage/runs")).filter((entry) => entry.startsWith(`${name}-`)).map((entry) => at(".tillage/runs", entry)) : []);

const lockHolder = (dir: string): number => z.object({ pid: z.number() }).parse(JSON.parse(readFileSync(path.join(dir, "lock"), "utf8"))).pid;

async function until<T>(what: string, look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 1000; tries++) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not come.`);
}

/** Starts a long run through the command line and waits for its first checkpoint after the beginning. */
async function longRun(name: string): Promise<{ dir: string; pid: number; outcome: Promise<Outcome> }> {
  runFile(`${name}.run.yaml`, "model", { steps: 100_000, every: 20 });
  const outcome = tillage("--json", "train", `${name}.run.yaml`);
  const dir = await until("the run's folder", () => runsOf(name)[0]);
  await until("a checkpoint", () => (readdirSync(dir).includes("checkpoints") && readdirSync(path.join(dir, "checkpoints")).some((step) => step > "step-000000") ? true : undefined));
  const pid = lockHolder(dir);
  engines.push(pid);
  return { dir, pid, outcome };
}

/** Resumes a run, lets it go on for some steps and asks it to stop. */
async function goesOn(dir: string): Promise<void> {
  const events = () => readFileSync(path.join(dir, "events.jsonl"), "utf8").trim().split("\n").map((line) => z.looseObject({ type: z.string() }).parse(JSON.parse(line)));
  const started = () => events().filter((event) => event.type === "started").length;
  const before = started();
  const going = tillage("--json", "train", "--resume", dir);
  await until("a step of the resumed run", () => (started() > before && events().at(-1)?.type === "step" ? true : undefined));
  engines.push(lockHolder(dir));
  writeFileSync(path.join(dir, "stop"), "");
  const outcome = await going;
  expect(outcome.code).toBe(0);
  expect(lastJson(outcome)).toMatchObject({ state: { phase: "stopped" } });
  expect(leftovers()).toEqual([]);
}

beforeAll(() => {
  workspace = mkdtempSync(path.join(tmpdir(), "tillage-bad-"));
  mkdirSync(at(".tillage"));
  for (const name of ["broken-lines.jsonl", "cut-short.parquet", "small.parquet"]) cpSync(path.join(fixtures, "corpora", name), at(name));
  model("model");
  recipe("good.recipe.yaml", "small.parquet");
});
afterAll(() => {
  for (const pid of engines) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  }
  rmSync(workspace, { recursive: true, force: true, maxRetries: 5 });
});

describe("rows", () => {
  it("a broken JSONL line among good ones is kept out, named with its line, and the others are read", async () => {
    recipe("lines.recipe.yaml", "broken-lines.jsonl");
    const { code, stdout } = await tillage("build", "lines.recipe.yaml");
    expect(code).toBe(0);
    expect(stdout).toContain("5 rows could not be read and are kept out");
    expect(stdout).toMatch(/broken-lines\.jsonl:2 it is not valid JSON/u);
    expect(stdout).toContain("Mend these lines");
    expect(stdout).toContain("train: 4 rows");
    expect((await tillage("stats", "broken-lines.jsonl")).stdout).toMatch(/broken-lines\.jsonl:2 it is not valid JSON/u);
  });

  it("invalid UTF-8 is kept out of a corpus and refused in a recipe, with its line", async () => {
    write("latin.jsonl", Buffer.from('{"text":"good"}\n{"text":"caf\xe9"}\n', "latin1"));
    recipe("latin.recipe.yaml", "latin.jsonl");
    const built = await tillage("build", "latin.recipe.yaml");
    expect(built.code).toBe(0);
    expect(built.stdout).toMatch(/latin\.jsonl:2 it is not valid UTF-8/u);
    write("caf.recipe.yaml", Buffer.from("tillage: 1\nsources:\n  s: { files: small.parquet } # caf\xe9\n", "latin1"));
    await refuse(["build", "caf.recipe.yaml"], { exit: 1, code: "invalid_utf8", file: "caf.recipe.yaml", line: 3, message: /not valid UTF-8/u });
  });

  it("an empty file is named", async () => {
    write("empty.jsonl", "");
    recipe("empty.recipe.yaml", "empty.jsonl");
    await refuse(["build", "empty.recipe.yaml"], { exit: 1, code: "empty_file", file: "empty.jsonl", message: /is empty/u });
    await refuse(["stats", "empty.jsonl"], { exit: 1, code: "empty_file", file: "empty.jsonl", message: /is empty/u });
  });

  it("a Parquet file that is cut short is named", async () => {
    recipe("cut.recipe.yaml", "cut-short.parquet");
    await refuse(["build", "cut.recipe.yaml"], { exit: 1, code: "broken_parquet", file: "cut-short.parquet", message: /cut short/u });
    await refuse(["stats", "cut-short.parquet"], { exit: 1, code: "broken_parquet", file: "cut-short.parquet", message: /cut short/u });
  });
});

describe("recipes", () => {
  it("an unknown key is named with its line", async () => {
    recipe("key.recipe.yaml", "small.parquet", "steps:\n  - quality: { preset: gopher, min_word: 3 }\n");
    await refuse(["build", "key.recipe.yaml"], { exit: 1, code: "unknown_key", file: "key.recipe.yaml", line: 5, message: /min_word/u });
  });

  it("a column that does not exist is named with its line and the nearest that does", async () => {
    recipe("column.recipe.yaml", "small.parquet", 'steps:\n  - where: "wrods > 3"\n');
    await refuse(["build", "column.recipe.yaml"], { exit: 1, code: "unknown_column", file: "column.recipe.yaml", line: 5, message: /'wrods'.*Did you mean 'words'/u });
    write("map.recipe.yaml", "tillage: 1\nsources:\n  s: { files: small.parquet, as: text, map: { text: txt } }\n");
    await refuse(["build", "map.recipe.yaml"], { exit: 1, code: "missing_column", file: "map.recipe.yaml", line: 3, message: /small\.parquet has no column 'txt'.*Did you mean 'text'/u });
  });

  it("an SQL syntax error is named with its line and place", async () => {
    recipe("syntax.recipe.yaml", "small.parquet", 'steps:\n  - where: "words > > 3"\n');
    await refuse(["build", "syntax.recipe.yaml"], { exit: 1, code: "sql_syntax", file: "syntax.recipe.yaml", line: 5, message: /syntax error at character 9, near '>'/u });
  });
});

describe("models", () => {
  it("weights of the wrong shape name file and tensor", async () => {
    editWeights(path.join(model("wrong"), "model.safetensors"), ({ header }) => {
      const [rows, columns] = header[tensor]?.shape ?? [];
      Object.assign(header[tensor] ?? {}, { shape: [(rows ?? 0) / 2, (columns ?? 0) * 2] });
    });
    runFile("refused-shape.run.yaml", "wrong");
    await refuse(["train", "refused-shape.run.yaml"], { exit: 1, code: "wrong_shape", file: "wrong/model.safetensors", message: /q_proj\.weight.*\[32, 128\].*\[64, 64\]/u });
  });

  it("a missing tensor names file and tensor", async () => {
    editWeights(path.join(model("missing"), "model.safetensors"), (tensors) => {
      const [from, to] = tensors.header[tensor]?.data_offsets ?? [0, 0];
      Reflect.deleteProperty(tensors.header, tensor);
      tensors.data = Buffer.concat([tensors.data.subarray(0, from), tensors.data.subarray(to)]);
      for (const { data_offsets: offsets } of Object.values(tensors.header)) if (offsets && offsets[0] >= to) for (const i of [0, 1] as const) offsets[i] -= to - from;
    });
    runFile("refused-tensor.run.yaml", "missing");
    await refuse(["train", "refused-tensor.run.yaml"], { exit: 1, code: "missing_tensor", file: "missing/model.safetensors", message: /q_proj\.weight/u });
  });

  it("a config of an unknown model type names the type", async () => {
    const config = path.join(model("mamba"), "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace('"model_type": "llama"', '"model_type": "mamba"'));
    runFile("refused-type.run.yaml", "mamba");
    await refuse(["train", "refused-type.run.yaml"], { exit: 1, code: "unknown_model_type", file: "mamba/config.json", message: /"mamba".*supported: llama/u });
  });

  it("a tokenizer without the template's tokens names them and its file", async () => {
    writeFileSync(path.join(model("templated"), "chat_template.jinja"), "{% for m in messages %}<|nowhere|>{{ m.role }}{{ m.content }}<|gone|>{% endfor %}");
    write("chat.jsonl", `${JSON.stringify({ messages: [{ role: "user", content: "hi" }, { role: "assistant", content: "ho" }] })}\n`);
    write("chat.recipe.yaml", "tillage: 1\nsources:\n  s: { files: chat.jsonl, as: chat }\n");
    runFile("refused-tokens.run.yaml", "templated", { template: "chat", data: "chat.recipe.yaml" });
    await refuse(["train", "refused-tokens.run.yaml"], { exit: 1, code: "template_tokens_missing", file: "templated/tokenizer.json", message: /<\|nowhere\|>, <\|gone\|>/u });
  });
});

describe("runs", () => {
  it.runIf(process.platform === "linux")("a full disk at a checkpoint ends the run with its last good one, from which it goes on", async () => {
    const { dir, outcome } = await longRun("full");
    // Every write to /dev/full fails as on a full disk; here it stands in for the rows' losses, the first file of a checkpoint.
    await until("a moment between two checkpoints", () => {
      try {
        symlinkSync("/dev/full", path.join(dir, ".tmp-row_loss.parquet"));
        return true;
      } catch {
        return undefined;
      }
    });
    const ended = await outcome;
    expect(ended.code).toBe(2);
    const { error } = problemLine.parse(lastJson(ended));
    expect(error).toMatchObject({ blame: "environment", code: "disk_full" });
    expect(error.file).toContain(dir);
    expect(readdirSync(path.join(dir, "checkpoints")).length).toBeGreaterThan(0);
    expect(existsSync(path.join(dir, "model"))).toBe(false);
    await goesOn(dir);
  });

  it("a run folder that another process holds names the process; a killed engine is told of, and the run goes on from its checkpoint", async () => {
    const { dir, pid, outcome } = await longRun("held");
    await refuse(["train", "--resume", dir], { exit: 2, code: "run_locked", file: path.relative(workspace, dir), message: new RegExp(`held by process ${pid}`, "u"), live: true });
    process.kill(pid, "SIGKILL");
    const ended = await outcome;
    expect(ended.code).toBe(2);
    const { error } = problemLine.parse(lastJson(ended));
    expect(error).toMatchObject({ blame: "environment", code: "run_interrupted", file: path.join(dir, "engine.log") });
    expect(error.remedy).toContain(`tillage train --resume ${dir}`);
    await goesOn(dir);
  });

  it("a complete run is not begun again", async () => {
    runFile("short.run.yaml", "model");
    expect((await tillage("train", "short.run.yaml")).code).toBe(0);
    const dir = runsOf("short")[0] ?? "";
    await refuse(["train", "--resume", dir], { exit: 1, code: "run_completed", file: path.relative(workspace, dir), message: /is complete/u });
  });
});

describe("files that change", () => {
  it("a file that is written to while it is open says so on the next question, and opens again as it is now", async () => {
    write("open.jsonl", '{"text":"one"}\n');
    const corpus = connectCorpusService({ module: path.join(root, "dist/corpus-service.js") });
    try {
      const query = { clauses: [] };
      const { handle } = await corpus.open({ path: at("open.jsonl") });
      expect((await corpus.page({ handle, query, offset: 0, limit: 9 })).total).toBe(1);
      appendFileSync(at("open.jsonl"), '{"text":"two"}\n');
      const error: unknown = await corpus.page({ handle, query, offset: 0, limit: 9 }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(TillageError);
      expect((error as TillageError).problem).toMatchObject({ blame: "user", code: "file_changed", file: at("open.jsonl"), remedy: expect.stringContaining("Open it again") as string });
      expect((await corpus.open({ path: at("open.jsonl") })).rows).toBe(2);
    } finally {
      corpus.dispose();
    }
  });

  it("a build that is killed leaves no dataset, and the next one clears away what it left", async () => {
    write("large.jsonl", Array.from({ length: 60_000 }, (_, i) => `{"text":"row ${i} ${"with some words ".repeat(12)}"}\n`).join(""));
    recipe("large.recipe.yaml", "large.jsonl", "steps:\n  - dedup: { near: { threshold: 0.9 } }\n");
    const child = spawn(process.execPath, [cli, "build", "large.recipe.yaml"], { cwd: workspace, stdio: "ignore" });
    const unfinished = () => readdirSync(at(".tillage/datasets")).filter((name) => name.startsWith(".building-large"));
    await until("the build's folder", () => unfinished()[0]);
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    expect(readdirSync(at(".tillage/datasets")).filter((name) => name.startsWith("large@"))).toEqual([]);
    await tillage("build", "good.recipe.yaml");
    expect(unfinished()).toEqual([]);
  });
});
