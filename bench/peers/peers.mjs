// Has the real programs read what the engine exports: llama.cpp and the package `gguf` (check_gguf.py), transformers and PEFT
// (export.mjs, check_export.py).
//
//   npm run test:peers -- --python PATH [--python PATH] [--engine PATH] [--only gguf|folders]
//
// A PATH is a Python with bench/requirements.txt, bench/requirements-gguf.txt or both; TILLAGE_PYTHON names one too. Each half runs
// with the first that has its packages, and is left out, by name, where none has. Families come from ../shared/fixtures
// (TILLAGE_SHARED) and from the repository's own fixtures.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const { values: options } = parseArgs({
  options: {
    python: { type: 'string', multiple: true, default: [process.env.TILLAGE_PYTHON ?? 'python3'] },
    engine: { type: 'string', default: join(root, 'native/target/release/tillage-native') },
    only: { type: 'string' },
  },
});
const shared = process.env.TILLAGE_SHARED ?? join(root, '../shared');
const work = mkdtempSync(join(tmpdir(), 'tillage-peers-'));
const failures = [];
let ran = 0;

const run = (command, args, env = {}) => spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } }).status;

/** The first Python that has the packages. */
function pythonWith(packages) {
  const found = options.python.find((python) => spawnSync(python, ['-c', `import ${packages}`], { stdio: 'ignore' }).status === 0);
  if (found === undefined) console.log(`\nLeft out: no Python given has ${packages}.`);
  return found;
}

function checkGguf(python, name, model, more = []) {
  console.log(`\n${name}`);
  ran += 1;
  if (run(python, [join(here, 'check_gguf.py'), '--engine', options.engine, '--model', model, '--scratch', join(work, 'scratch', name.replaceAll(/\W+/g, '-')), ...more]) !== 0) failures.push(name);
}

/** A fixture with another config: what it computes is another model, of the same family. */
function changed(model, change) {
  const copy = join(work, basename(model));
  cpSync(model, copy, { recursive: true });
  const config = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'));
  change(config);
  writeFileSync(join(copy, 'config.json'), JSON.stringify(config));
  return copy;
}

function gguf(python) {
  const families = ['llama', 'llama_tied', 'llama_rope3', 'mistral', 'mixtral', 'qwen2', 'qwen3', 'qwen3_moe', 'gemma2', 'gemma3', 'phi3', 'olmo2', 'smollm3', 'granite', 'gpt2'];
  for (const family of families) {
    const model = [join(shared, 'fixtures', family), join(root, 'test/fixtures/engine', family)].find((dir) => existsSync(dir));
    if (model === undefined) {
      console.log(`\nLeft out: ${family}, whose fixture is not on this machine.`);
      continue;
    }
    // llama.cpp fixes which layers of smollm3 do not turn: every fourth.
    if (family === 'smollm3') checkGguf(python, family, changed(model, (config) => { config.no_rope_layers = [1, 1, 1]; }));
    // It takes GELU from a table in 16 bits.
    else checkGguf(python, family, model, family === 'gpt2' ? ['--close', '5e-4'] : []);
  }
  const llama = join(root, 'test/fixtures/engine/llama');
  checkGguf(python, 'llama with an adapter', llama, ['--adapter', join(llama, 'adapter')]);
  const stories = join(shared, 'models/stories260k');
  if (existsSync(stories)) checkGguf(python, 'stories260k', stories);
  // The files whose hashes the Rust test holds.
  const kept = join(work, 'kept');
  if (run('cargo', ['test', '--release', '-q', '-p', 'tillage-export', '--test', 'gguf', '--manifest-path', join(root, 'native/Cargo.toml'), '--', 'files_that'], { TILLAGE_KEEP_GGUF: kept }) !== 0) failures.push('hashes of the generated files');
  if (existsSync(kept)) checkGguf(python, 'the generated model whose hashes are kept', join(kept, 'base'), ['--ready', kept]);
}

if (!existsSync(options.engine)) throw new Error(`${options.engine} is not there. Build it: npm run build:native`);
if (options.only !== 'folders') {
  const python = pythonWith('llama_cpp, gguf');
  if (python !== undefined) gguf(python);
}
if (options.only !== 'gguf') {
  const python = pythonWith('torch, transformers, peft');
  if (python !== undefined) {
    ran += 1;
    if (run(process.execPath, [join(here, 'export.mjs'), '--python', python, '--engine', options.engine]) !== 0) failures.push('folders for transformers and PEFT');
  }
}
rmSync(work, { recursive: true, force: true });
console.log(failures.length > 0 ? `\nFailed: ${failures.join('; ')}.` : ran > 0 ? '\nEverything that ran agrees.' : '\nNothing ran.');
process.exitCode = failures.length === 0 && ran > 0 ? 0 : 1;
