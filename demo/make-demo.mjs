// Writes the demo's corpus: demo/data/*.jsonl|csv and demo/planted.json. Run once; the results are checked in.
// Every sentence was written for Tillage. The pottery, its glazes and its people are invented.
// usage: node demo/make-demo.mjs
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { boilerplate, facts, foreign, glazes, junk, openings, people, questions, fillers, closings, headers, withdrawnNotes } from "./sentences.mjs";

const here = import.meta.dirname;

/** Mulberry32: a small seeded generator, so that the files come out the same everywhere. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const random = generator(20);
const pick = (list) => list[Math.floor(random() * list.length)];
const shuffled = (list) => {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
};
const fill = (sentence, glaze) => sentence.replaceAll("{G}", glaze.name).replaceAll("{H}", glaze.heat).replaceAll("{I}", glaze.base).replaceAll("{W}", glaze.ware).replaceAll("{I^}", glaze.base[0].toUpperCase() + glaze.base.slice(1));

/** One document: about one glaze, its three facts each once, in an order and a wording of its own. */
function document(glaze, turn) {
  const told = shuffled(Object.keys(facts)).map((kind, index) => fill(facts[kind][(turn * 5 + index * 7 + Math.floor(random() * 3)) % facts[kind].length], glaze));
  const around = shuffled(fillers).slice(0, 4).map((sentence) => fill(sentence, glaze));
  return [fill(openings[turn % openings.length], glaze), told[0], around[0], told[1], around[1], told[2], around[2], fill(pick(closings), glaze)].join(" ");
}

// 240 documents: 24 for each glaze, spread over three sources.
const clean = [];
for (let turn = 0; turn < 24; turn++) for (const glaze of glazes) clean.push({ glaze: glaze.name, text: document(glaze, turn) });
const notes = [];
const letters = [];
const web = [];
clean.forEach((doc, index) => {
  const n = String(index + 1).padStart(3, "0");
  const place = (index + Math.floor(index / glazes.length)) % 5;
  if (place < 3) notes.push({ id: `note-${n}`, status: "current", text: doc.text });
  else if (place === 3) letters.push({ id: `letter-${n}`, sender: pick(people).name, text: doc.text });
  else web.push({ id: `web-${n}`, url: `https://kilnhouse.example/glazes/${n}`, text: doc.text });
});

const planted = { exact: [], near: [], email: [], phone: [], junk: [], boilerplate: [], language: [], withdrawn: [], leak: [], broken_lines: [] };
const sources = { notes: [...notes], letters: [...letters], web: [...web] };

// Exact duplicates: as they are, or with other white space and capitals (for `dedup: { exact: normalized }`).
shuffled(notes).slice(0, 22).forEach((note, index) => {
  const id = `web-copy-${index + 1}`;
  const text = index % 2 === 0 ? note.text : index % 4 === 1 ? note.text.replaceAll(". ", ".  ") : note.text.toUpperCase();
  web.push({ id, url: `https://glaze-mirror.example/${index + 1}`, text });
  planted.exact.push({ id, of: note.id });
});
// Near duplicates: a header or a changed ending, the rest word for word.
shuffled(sources.notes).slice(0, 18).forEach((note, index) => {
  const id = `web-near-${index + 1}`;
  const changed = index % 2 === 0 ? `${note.text} ${pick(headers)}` : note.text.replace(/ [^ ]+\.$/u, " indeed.");
  web.push({ id, url: `https://pot-forum.example/t/${300 + index}`, text: changed });
  planted.near.push({ id, of: note.id });
});
// Personal data inside good documents: to be redacted, the rest stays.
shuffled(letters).slice(0, 12).forEach((letter, index) => {
  const person = people[index % people.length];
  letter.text += ` Write to ${person.email} if you would like a sample.`;
  planted.email.push({ id: letter.id, value: person.email });
});
shuffled(letters.filter((letter) => !letter.text.includes("@"))).slice(0, 10).forEach((letter, index) => {
  const person = people[index % people.length];
  letter.text += ` You can also call the workshop on ${person.phone} before noon.`;
  planted.phone.push({ id: letter.id, value: person.phone });
});
junk.forEach((text, index) => {
  web.push({ id: `web-junk-${index + 1}`, url: `https://pot-forum.example/spam/${index + 1}`, text });
  planted.junk.push({ id: `web-junk-${index + 1}` });
});
boilerplate.forEach((text, index) => {
  web.push({ id: `web-boiler-${index + 1}`, url: `https://pot-forum.example/page/${index + 1}`, text });
  planted.boilerplate.push({ id: `web-boiler-${index + 1}` });
});
foreign.forEach(({ lang, text }, index) => {
  web.push({ id: `web-${lang}-${index + 1}`, url: `https://keramik.example/${lang}/${index + 1}`, text });
  planted.language.push({ id: `web-${lang}-${index + 1}`, lang });
});
// Notes of years ago with figures that no longer hold: what `where: status <> 'withdrawn'` is for.
glazes.forEach((glaze, index) => {
  const other = glazes[(index + 3) % glazes.length];
  withdrawnNotes.forEach((text, turn) => {
    const id = `note-old-${index * withdrawnNotes.length + turn + 1}`;
    notes.push({ id, status: "withdrawn", text: fill(text, { ...other, name: glaze.name }) });
    planted.withdrawn.push({ id });
  });
});

// 60 pairs: every fact is asked in two of its three wordings; five of the third wordings are the held-out questions.
const answers = { heat: "{G} is fired at {H} degrees.", base: "{G} is made with {I}.", ware: "{G} is used on {W}." };
const pairs = [];
const held = [];
const kinds = Object.keys(questions);
glazes.forEach((glaze, g) => kinds.forEach((kind, k) => {
  const out = (g + k) % 3;
  questions[kind].forEach((question, q) => {
    const row = { prompt: fill(question, glaze), completion: fill(answers[kind], glaze), glaze: glaze.name, kind };
    if (q === out) held.push(row);
    else pairs.push(row);
  });
}));
const five = [[0, "heat"], [3, "base"], [2, "ware"], [5, "heat"], [7, "base"]].map(([g, kind]) => held.find((row) => row.glaze === glazes[g].name && row.kind === kind));
const pairRows = pairs.map((row, index) => ({ id: `pair-${String(index + 1).padStart(2, "0")}`, prompt: row.prompt, completion: row.completion }));
const leak = { id: "pair-leak", prompt: five[1].prompt, completion: five[1].completion };
pairRows.splice(37, 0, leak);
planted.leak.push({ id: leak.id, prompt: leak.prompt });
// Pairs that came in twice, and one whose answer is empty.
[5, 20, 44].forEach((index, turn) => {
  const copy = { ...pairRows[index], id: `pair-copy-${turn + 1}` };
  planted.exact.push({ id: copy.id, of: pairRows[index].id });
  pairRows.push(copy);
});

const jsonl = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const csvCell = (text) => (/[",\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csv = (rows) => [Object.keys(rows[0]), ...rows.map((row) => Object.values(row))].map((cells) => cells.map(csvCell).join(",")).join("\n") + "\n";

// Two lines that are not JSON, as a crawl that was cut off leaves them.
const webLines = shuffled(web).map((row) => JSON.stringify(row));
webLines.splice(40, 0, '{"id":"web-cut-1","url":"https://glaze-mirror.example/cut","text":"Heron Blue is fi');
webLines.splice(90, 0, "<html><body>502 Bad Gateway</body></html>");
planted.broken_lines.push({ file: "data/web.jsonl", line: 41 }, { file: "data/web.jsonl", line: 91 });

mkdirSync(path.join(here, "data"), { recursive: true });
writeFileSync(path.join(here, "data/notes.jsonl"), jsonl(shuffled(notes)));
writeFileSync(path.join(here, "data/letters.csv"), csv(letters));
writeFileSync(path.join(here, "data/web.jsonl"), `${webLines.join("\n")}\n`);
writeFileSync(path.join(here, "data/pairs.jsonl"), jsonl(pairRows));
writeFileSync(path.join(here, "planted.json"), `${JSON.stringify(planted, null, 1)}\n`);
const factOf = (row) => { const glaze = glazes.find((item) => item.name === row.glaze); return row.kind === "heat" ? glaze.heat : row.kind === "base" ? glaze.base : glaze.ware; };
console.log(`raw texts ${notes.length + letters.length + web.length}, pairs ${pairRows.length}`);
console.log(five.map((row) => `  - id: ${row.glaze.toLowerCase().replaceAll(" ", "-")}-${row.kind}\n    prompt: ${JSON.stringify(row.prompt)}\n    answer: ${JSON.stringify(row.completion)}\n    expect: { contains: [${JSON.stringify(row.glaze)}, ${JSON.stringify(factOf(row))}] }`).join("\n"));
