// Trains small models with the engine and has transformers and PEFT load what it wrote:
//
//   node bench/peers/export.mjs --python PATH [--engine PATH] [--keep DIR]
//
// PATH is a Python with bench/requirements.txt. Everything is made in a temporary folder, or in DIR.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    engine: { type: 'string', default: join(root, 'native/target/release/tillage-native') },
    keep: { type: 'string' },
  },
});
const work = options.keep === undefined ? mkdtempSync(join(tmpdir(), 'tillage-export-')) : resolve(options.keep);
mkdirSync(work, { recursive: true });

const towns = ['Bergen', 'Lyon', 'Turin', 'Graz', 'Porto', 'Ghent'];
const trees = ['alder', 'birch', 'cedar', 'elm', 'fir', 'hazel'];
const docs = towns.flatMap((town, i) =>
  trees.map((tree, j) => ({
    _row_id: `d${i}${j}`,
    text: `The ${tree} of ${town} was planted in ${1800 + 7 * i + j}. Its keeper measures it each spring: ${3 + i + j} metres.`,
  })),
);
const pairs = towns.flatMap((town, i) =>
  trees.map((tree, j) => ({
    _row_id: `p${i}${j}`,
    prompt: `When was the ${tree} of ${town} planted?`,
    completion: `In ${1800 + 7 * i + j}.`,
  })),
);

async function parquet(name, rows) {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const source = join(work, `${name}.jsonl`);
  writeFileSync(source, rows.map((row) => JSON.stringify(row) + '\n').join(''));
  const quoted = (path) => `'${path.replaceAll("'", "''")}'`;
  await connection.run(
    `COPY (SELECT * FROM read_json(${quoted(source)}, columns = {${Object.keys(rows[0])
      .map((column) => `${column}: 'VARCHAR'`)
      .join(', ')}})) TO ${quoted(join(work, `${name}.parquet`))} (FORMAT parquet)`,
  );
  connection.closeSync();
  instance.closeSync();
}

function run(command, args) {
  const done = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } });
  if (done.error !== undefined) throw done.error;
  return done.status;
}

/** Trains one run; returns the folder of its result. */
function train(id, spec) {
  const folder = join(work, id);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const { train: settings, ...rest } = spec;
  const whole = {
    version: 1,
    id,
    name: id,
    watch: [],
    train: { batch_tokens: 512, context: 256, lr: 0.003, schedule: 'cosine', warmup_steps: 3, seed: 7, checkpoint_every: 1000, ...settings },
    ...rest,
  };
  writeFileSync(join(folder, 'run.json'), JSON.stringify(whole, null, 2));
  const status = run(options.engine, ['train', folder, '--threads', '2']);
  if (status !== 0) throw new Error(`tillage-native train ${folder} ended with code ${status}`);
  return join(folder, spec.adapter === undefined && spec.prompt === undefined ? 'model' : 'adapter');
}

const pretrain = (shape, settings) => ({
  objective: 'pretrain',
  model: { kind: 'init', shape: { hidden_size: 64, intermediate_size: 160, num_hidden_layers: 3, num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 256, ...shape }, tokenizer: { kind: 'train', vocab_size: 400 } },
  data: { train: ['../docs.parquet'] },
  template: { kind: 'plain' },
  loss_on: 'all',
  train: { epochs: 10, ...settings },
});
const tune = (path, adapter) => ({
  objective: 'sft',
  model: { kind: 'folder', path },
  ...(adapter === undefined ? {} : { adapter }),
  data: { train: ['../pairs.parquet'] },
  template: { kind: 'chat' },
  loss_on: 'assistant',
  train: { epochs: 10 },
});

const failures = [];
function check(name, model, adapter) {
  console.log(`\n${name}`);
  const asked = pairs.slice(0, 2).flatMap((pair) => ['--ask', pair.prompt]);
  const args = [join(here, 'check_export.py'), '--engine', options.engine, '--model', model, '--scratch', join(work, 'scratch', name.replaceAll(/\W+/g, '-')), ...asked];
  if (run(options.python, adapter === undefined ? args : [...args, '--adapter', adapter]) !== 0) failures.push(name);
}

if (!existsSync(options.engine)) throw new Error(`${options.engine} is not there. Build it: npm run build:native`);
await parquet('docs', docs);
await parquet('pairs', pairs);
for (const name of ['llama', 'llama_tied', 'llama_rope3']) cpSync(join(root, 'test/fixtures/engine', name), join(work, name), { recursive: true });

const tied = train('pretrain', pretrain({}));
check('pretrained from random weights, tied head', tied);
check('pretrained from random weights, own head and theta', train('untied', pretrain({ tie_word_embeddings: false, rope_theta: 50000, num_key_value_heads: 4 })));
for (const name of ['llama', 'llama_tied', 'llama_rope3']) check(`fixture ${name}, fully tuned`, train(`full-${name}`, tune(`../${name}`)));
const adapters = [
  ['LoRA on fixture llama, all linear layers', 'llama', { r: 8, alpha: 16, targets: ['all-linear'] }],
  ['LoRA on fixture llama_rope3, q and v only, alpha 5.5', 'llama_rope3', { r: 4, alpha: 5.5, targets: ['q_proj', 'v_proj'] }],
  ['rsLoRA on fixture llama_tied', 'llama_tied', { r: 8, alpha: 4, targets: ['all-linear'], rslora: true }],
];
for (const [i, [name, base, adapter]] of adapters.entries()) check(name, join(work, base), train(`adapter-${i}`, tune(`../${base}`, adapter)));
check('LoRA on the pretrained model', tied, train('adapter-own', tune('../pretrain/model', { r: 8, alpha: 16, targets: ['all-linear'] })));

// Tuned prompts, and adapters that are mixed.
const asked = join(work, 'asked.jsonl');
writeFileSync(asked, [...pairs.slice(0, 3), { prompt: 'Who keeps the light?' }].map(({ prompt }, i) => JSON.stringify({ id: String(i), prompt }) + '\n').join(''));
writeFileSync(join(work, 'rows.json'), JSON.stringify(pairs.map(({ prompt, completion }) => [prompt, completion])));
function checkAdapters(name, model, args) {
  console.log(`\n${name}`);
  if (run(options.python, [join(here, 'check_adapters.py'), '--engine', options.engine, '--model', model, '--prompts', asked, ...args]) !== 0) failures.push(name);
}
const bases = [['the pretrained model', tied, '../pretrain/model'], ...['llama', 'llama_tied', 'llama_rope3'].map((name) => [`fixture ${name}`, join(work, name), `../${name}`])];
for (const [i, [name, base, path]] of bases.entries()) {
  const spec = { ...tune(path), prompt: { tokens: 7, text: 'When was the elm planted?' } };
  // All rows in the first step, so that its loss is that of all rows.
  const result = train(`prompt-${i}`, { ...spec, train: { ...spec.train, epochs: 30, lr: 0.05, batch_tokens: 100000 } });
  const first = readFileSync(join(work, `prompt-${i}`, 'events.jsonl'), 'utf8').split('\n').find((line) => line.includes('"type":"step"'));
  // What PEFT loads is the exported folder.
  const exported = join(work, `prompt-${i}-exported`);
  if (run(options.engine, ['export', '--model', base, '--adapter', result, '--to', 'peft', '--out', exported]) !== 0) failures.push(`export of the prompt on ${name}`);
  checkAdapters(`tuned prompt on ${name}`, base, ['--prompt', exported, '--step-loss', String(JSON.parse(first).loss), '--rows', join(work, 'rows.json')]);
  const tuned = [
    train(`mixed-${i}-a`, tune(path, { r: 8, alpha: 16, targets: ['all-linear'] })),
    train(`mixed-${i}-b`, tune(path, { r: 4, alpha: 6, targets: ['q_proj', 'v_proj'], rslora: true })),
  ];
  checkAdapters(`two adapters mixed on ${name}`, base, ['--adapter', `a=${tuned[0]}:0.7`, '--adapter', `b=${tuned[1]}:-0.4`]);
}

if (options.keep === undefined) rmSync(work, { recursive: true, force: true });
console.log(failures.length === 0 ? '\nAll exports load and agree.' : `\nFailed: ${failures.join('; ')}.`);
process.exitCode = failures.length === 0 ? 0 : 1;
