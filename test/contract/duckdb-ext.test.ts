// The SQL functions of native/crates/duckdb_ext, as the DuckDB that the product ships sees them.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance, type DuckDBConnection, type Json } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const extension = fileURLToPath(new URL("../../dist/native/tillage.duckdb_extension", import.meta.url));
const tokenizer = fileURLToPath(new URL("../fixtures/text/bpe", import.meta.url));

let instance: DuckDBInstance;
let connection: DuckDBConnection;
let folder: string;

beforeAll(async () => {
  if (!existsSync(extension)) throw new Error(`${extension} is absent: run \`npm run build:native\` first`);
  instance = await DuckDBInstance.create(":memory:", { allow_unsigned_extensions: "true", threads: "4" });
  connection = await instance.connect();
  await connection.run(`LOAD '${extension}'`);
  // Ten thousand rows, every seventh NULL, in row groups of 2,048: a thread takes whole row groups.
  folder = mkdtempSync(join(tmpdir(), "tillage-ext-"));
  const file = join(folder, "docs.parquet");
  await connection.run(
    "COPY (SELECT i, CASE WHEN i % 7 = 0 THEN NULL ELSE 'Row ' || i || ' of the corpus: the potter and the kiln that have ' || (i * 7919) % 1009 || ' pots.' END AS text FROM range(10000) t(i)) " +
      `TO '${file}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`,
  );
  await connection.run(`CREATE VIEW docs AS FROM '${file}'`);
});

afterAll(() => {
  connection.closeSync();
  instance.closeSync();
  rmSync(folder, { recursive: true });
});

async function rows(sql: string): Promise<Record<string, Json>[]> {
  return (await connection.runAndReadAll(sql)).getRowObjectsJson();
}

/** The value of a SQL expression. */
async function value(expression: string): Promise<Json> {
  return (await rows(`SELECT ${expression} AS v`))[0]?.["v"] ?? null;
}

const text = (content: string) => `'${content.replaceAll("'", "''")}'`;

/** One call of every function, with `$` where its text goes. */
const calls = [
  "till_words($)",
  "till_normalize($)",
  "till_hash128($)",
  "till_quality($)",
  "till_c4_clean($)",
  "till_language($)",
  "till_pii($)",
  "till_toxicity($, 'en,de')",
  "till_span_anchors($, 3)",
  "till_span_windows($, 3, till_span_anchors($, 3))",
  "till_cut_words($, []::INTEGER[], []::INTEGER[])",
  "till_redact($, 'all')",
  "till_minhash($, 16, 3, 1)",
  "till_ngrams($, 3)",
  "till_jaccard($, $, 2)",
  "till_contains($, 'pot', false)",
  "till_matches($, 'po+t', true)",
  `till_tokens($, '${tokenizer}')`,
];

describe.each(calls)("%s", (call) => {
  const of = (argument: string) => call.replaceAll("$", argument);

  it("gives NULL for NULL", async () => {
    expect(await value(of("NULL::VARCHAR"))).toBeNull();
  });

  it("takes the empty text", async () => {
    expect(await value(of("''"))).not.toBeNull();
  });

  it("takes a text of 4 MB", async () => {
    expect(await value(of("repeat('The kiln is warm. ', 220000)"))).not.toBeNull();
  });

  it("gives the same in 10,000 rows on several threads as row by row", async () => {
    const [counts] = await rows(`SELECT count(*) AS n, count(${of("text")}) AS valid FROM docs`);
    expect(counts).toEqual({ n: "10000", valid: "8571" });
    for (const row of [1, 2047, 2048, 2049, 9999]) {
      const [both] = await rows(
        `WITH whole AS MATERIALIZED (SELECT i, ${of("text")} AS v FROM docs) SELECT v = (SELECT ${of("text")} FROM docs WHERE i = ${row}) AS same FROM whole WHERE i = ${row}`,
      );
      expect(both).toEqual({ same: true });
    }
  });
});

describe("words and normal forms", () => {
  it("counts Unicode words", async () => {
    expect(await value(`till_words(${text("The potter's wheel, 3 × 4 — naïve 我爱你")})`)).toBe("10");
  });

  it("normalises what is only typed differently", async () => {
    const forms = await rows(
      `SELECT till_normalize(${text("It’s  a “Well-known” fact.")}) AS a, till_normalize(${text("it's a well known FACT")}) AS b, till_normalize('3 - 2') AS minus, till_normalize('3 + 2') AS plus`,
    );
    expect(forms).toEqual([{ a: "it's a well known fact", b: "it's a well known fact", minus: "3 - 2", plus: "3 + 2" }]);
  });

  it("hashes as XXH3-128", async () => {
    expect(await value("till_hash128('')")).toBe("99aa06d3014798d86001c324468d497f");
  });
});

describe("quality", () => {
  it("has every field that a threshold names", async () => {
    const { default: thresholds } = await import("../../native/crates/duckdb_ext/thresholds.json");
    const signals = await value("till_quality('The kiln is warm.')");
    for (const { field } of thresholds) expect(Object.keys(signals as object)).toContain(field);
  });

  it("counts", async () => {
    const [row] = await rows(
      `SELECT q.n_words, q.stop_words, q.bullet_line_frac, q.dup_line_frac, q.ellipsis_line_frac FROM (SELECT till_quality(${text("- the pots and the kiln\n- the pots and the kiln\nlast...\nline")}) AS q)`,
    );
    expect(row).toEqual({ n_words: "12", stop_words: 2, bullet_line_frac: 0.5, dup_line_frac: 0.25, ellipsis_line_frac: 0.25 });
  });

  it("removes the lines that C4 removes", async () => {
    const page = text("Home | About\nThe kiln stays warm overnight.[1]\nPlease enable JavaScript now.\nShe opens it at dawn.");
    expect(await value(`till_c4_clean(${page})`)).toBe("The kiln stays warm overnight.\nShe opens it at dawn.");
    expect(await rows(`SELECT q.c4_sentences, q.c4_removed_lines, q.c4_curly_bracket_lines FROM (SELECT till_quality(${page}) AS q)`)).toEqual([
      { c4_sentences: "2", c4_removed_lines: "2", c4_curly_bracket_lines: "0" },
    ]);
  });

  it("gives NULL in every field for NULL", async () => {
    expect(await rows("SELECT q.n_words, q.dup_10_gram_char_frac FROM (SELECT till_quality(text) AS q FROM docs WHERE i = 7)")).toEqual([
      { n_words: null, dup_10_gram_char_frac: null },
    ]);
  });
});

describe("language", () => {
  it("tells languages apart and says when there is nothing to tell from", async () => {
    expect(await value(`(till_language(${text("Der Ofen bleibt über Nacht warm, deshalb öffnet ihn die Töpferin erst am Morgen.")})).lang`)).toBe("de");
    expect(await value("(till_language('The kiln stays warm overnight, so she opens it in the morning.')).lang")).toBe("en");
    expect(await value("till_language('12 + 30')")).toEqual({ lang: null, confidence: 0 });
  });
});

describe("personal data", () => {
  it("is found at character positions that substr understands", async () => {
    const found = await rows(
      `SELECT p.kind, p.value, substr(text, p.start_char + 1, p.end_char - p.start_char) AS cut FROM (SELECT text, unnest(till_pii(text)) AS p FROM (SELECT ${text("Für Ädä 😀: ada@post.example oder +44 20 7946 0958, GB82 WEST 1234 5698 7654 32")} AS text))`,
    );
    expect(found).toEqual([
      { kind: "email", value: "ada@post.example", cut: "ada@post.example" },
      { kind: "phone", value: "+44 20 7946 0958", cut: "+44 20 7946 0958" },
      { kind: "iban", value: "GB82 WEST 1234 5698 7654 32", cut: "GB82 WEST 1234 5698 7654 32" },
    ]);
    expect(await value("till_pii('in 1998 it cost $1,000,000')")).toEqual([]);
  });

  it("has keys and tokens with right checks", async () => {
    const key = "gh" + "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17";
    expect(await value(`till_redact('token ${key}', 'secret')`)).toBe("token <SECRET>");
    expect(await value(`till_redact('token ${key.replace(/7$/, "8")}', 'all')`)).toBe(`token ${key.replace(/7$/, "8")}`);
  });

  it("is redacted by kind", async () => {
    expect(await value("till_redact('a@b.org from 203.0.113.9', 'ip')")).toBe("a@b.org from <IP>");
    await expect(value("till_redact('x', 'email,passport')")).rejects.toThrow(/till_redact: 'passport' is not a kind/);
  });
});

describe("profanity", () => {
  it("is counted by words of the languages asked for", async () => {
    expect(await value("till_toxicity('You bastard, you b@stard! Go.', 'en')")).toEqual({ hits: "2", words: "6", ratio: 2 / 6, terms: ["bastard"] });
    expect(await value("(till_toxicity('Der Hurensohn ging', 'en')).hits")).toBe("0");
    expect(await value("(till_toxicity('Der Hurensohn ging', 'de')).terms")).toEqual(["hurensohn"]);
    await expect(value("till_toxicity('x', 'xx')")).rejects.toThrow(/till_toxicity: the lexicon has no language 'xx'/);
  });
});

describe("repeated passages", () => {
  // The query of native/crates/duckdb_ext/src/text/spans.
  const query = (n: number) => `WITH anchors AS MATERIALIZED (SELECT n, unnest(till_span_anchors(text, ${n})) AS anchor FROM passages),
    repeated AS (SELECT anchor FROM anchors GROUP BY anchor HAVING count(*) > 1),
    candidates AS (SELECT n, list(DISTINCT anchor) AS anchors FROM anchors SEMI JOIN repeated USING (anchor) GROUP BY n),
    windows AS MATERIALIZED (
      SELECT n, w.hash AS hash, w.start AS start
      FROM (SELECT n, unnest(till_span_windows(text, ${n}, anchors)) AS w FROM passages JOIN candidates USING (n))),
    firsts AS (SELECT hash, min({n: n, start: start}) AS first FROM windows GROUP BY hash HAVING count(*) > 1),
    cuts AS (
      SELECT n, list(CASE WHEN n = first.n THEN greatest(start, first.start + ${n}) ELSE start END) AS starts,
             list(start + ${n}) AS ends, min(first.n) AS matched
      FROM windows JOIN firsts USING (hash) WHERE (n, start) <> (first.n, first.start) GROUP BY n)
    SELECT n, matched, till_cut_words(text, starts, ends) AS text FROM passages JOIN cuts USING (n) ORDER BY n`;

  it("are cut from all texts but the first, whatever their case and marks", async () => {
    await connection.run(`CREATE OR REPLACE TABLE passages AS FROM (VALUES
      (1, 'Intro. The potter opens the kiln at dawn and takes the pots out one by one. End.'),
      (2, 'Other words here: the potter opens the kiln at dawn, and takes the pots out one by one! More.'),
      (3, 'The potter opens the kiln at dusk and takes the pots in one by one.'),
      (4, 'tick tock tick tock tick tock tick tock tick tock tick tock')) t(n, text)`);
    expect(await rows(query(8))).toEqual([
      { n: 2, matched: 1, text: "Other words here: More." },
      { n: 4, matched: 4, text: "tick tock tick tock tick tock tick tock " },
    ]);
    expect(await rows(query(14))).toEqual([{ n: 2, matched: 1, text: "Other words here: More." }]);
    expect(await rows(query(16))).toEqual([]);
  });

  it("of every length from n on are found in ten thousand texts", async () => {
    // Each tenth text begins with the same 21 words, and has others of its own.
    await connection.run("CREATE OR REPLACE TABLE passages AS SELECT i AS n, CASE WHEN i % 10 = 0 THEN (SELECT string_agg('same' || w, ' ' ORDER BY w) FROM range(21) r(w)) || ' ' ELSE '' END || (SELECT string_agg('w' || i || 'x' || w, ' ' ORDER BY w) FROM range(30) r(w)) AS text FROM range(10000) t(i)");
    expect(await rows(`SELECT count(*) AS cut, count(*) FILTER (text LIKE '%same%') AS left_over, min(till_words(text)) AS least, max(matched) AS matched FROM (${query(20)})`)).toEqual([{ cut: "999", left_over: "0", least: "30", matched: "0" }]);
    expect(await rows(query(22))).toEqual([]);
  });

  it("refuses ranges that are none", async () => {
    await expect(value("till_cut_words('a b', [0], [3])")).rejects.toThrow(/till_cut_words: words 0 to 3 are no range of a text of 2 words/);
    await expect(value("till_span_anchors('a b', 0)")).rejects.toThrow(/n-gram size/);
  });
});

describe("near duplicates", () => {
  const base = "a potter centres the clay on the wheel and opens it slowly with both thumbs before she pulls the wall up and trims the foot of the bowl when it is leather hard";

  it("estimates Jaccard similarity and makes candidates of what is alike", async () => {
    const other = base.replace("slowly", "gently");
    const [row] = await rows(
      `WITH s AS (SELECT till_minhash(${text(base)}, 128, 3, 7) AS a, till_minhash(${text(other)}, 128, 3, 7) AS b, till_jaccard(${text(base)}, ${text(other)}, 3) AS exact), k AS (SELECT till_lsh_choose(128, 0.8) AS bands) SELECT exact, len(list_filter(list_zip(a, b), lambda x: x[1] = x[2])) / 128 AS estimate, bands, list_has_any(till_lsh_bands(a, bands), till_lsh_bands(b, bands)) AS candidate, len(till_lsh_bands(a, bands)) AS hashes FROM s, k`,
    );
    expect(row).toMatchObject({ bands: 21, candidate: true, hashes: "21" });
    expect(Math.abs(Number(row?.["exact"]) - Number(row?.["estimate"]))).toBeLessThan(0.15);
  });

  it("treats texts without words as having no shingles", async () => {
    expect(await value("till_minhash('!?', 8, 5, 1)")).toEqual([]);
    expect(await value("till_lsh_bands(till_minhash('!?', 8, 5, 1), 4)")).toEqual([]);
    expect(await value("till_jaccard('', '', 5)")).toBe(0);
  });

  it("depends on the seed", async () => {
    expect(await value(`till_minhash(${text(base)}, 8, 5, 1) = till_minhash(${text(base)}, 8, 5, 2)`)).toBe(false);
  });

  it("refuses numbers out of range", async () => {
    await expect(value("till_minhash('a', 0, 5, 1)")).rejects.toThrow(/till_minhash: permutations must be between 1 and 4096; got 0/);
    await expect(value("till_minhash('a', 8, 0, 1)")).rejects.toThrow(/n-gram size must be between 1 and 1000/);
    await expect(value("till_lsh_bands(till_minhash('a', 8, 5, 1), 9)")).rejects.toThrow(/bands must be between 1 and 8/);
    await expect(value("till_lsh_bands([1, NULL]::UINTEGER[], 1)")).rejects.toThrow(/NULL element/);
    await expect(value("till_lsh_choose(128, 0)")).rejects.toThrow(/threshold must be above 0/);
  });
});

describe("n-grams", () => {
  it("are distinct, keep digits, and are shared by texts that share a run of words", async () => {
    expect(await value("len(till_ngrams('a b a b a b', 2))")).toBe("2");
    expect(await value("list_has_any(till_ngrams('so, Add 3 to 4 now', 4), till_ngrams('add 3 to 4', 4))")).toBe(true);
    expect(await value("list_has_any(till_ngrams('add 3 to 4', 4), till_ngrams('add 3 to 5', 4))")).toBe(false);
    expect(await value("till_ngrams('too short', 13)")).toEqual([]);
  });
});

describe("search", () => {
  it("finds literals and patterns", async () => {
    expect(await value(`till_contains('Die TÖPFEREI', 'töpferei', false)`)).toBe(true);
    expect(await value(`till_contains('Die TÖPFEREI', 'töpferei', true)`)).toBe(false);
    expect(await value("till_contains('a.c', 'a.c', false) AND NOT till_contains('abc', 'a.c', false)")).toBe(true);
    expect(await value("till_matches('cone 06', '\\d+$', true)")).toBe(true);
  });

  it("takes the pattern from a column", async () => {
    expect(await rows("SELECT till_matches('clay', p, true) AS m FROM (VALUES ('^c'), ('^x'), (NULL)) t(p)")).toEqual([{ m: true }, { m: false }, { m: null }]);
  });

  it("says what is wrong with a pattern", async () => {
    await expect(rows("SELECT till_matches(text, '(', true) FROM docs")).rejects.toThrow(/till_matches: '\(' is not a valid regular expression.*unclosed group/s);
    expect(await value("till_words('the connection lives on')")).toBe("4");
  });
});

describe("tokens", () => {
  it("counts as the tokenizer's own vectors do", async () => {
    const { default: fixture } = await import("../fixtures/text/bpe/tokenizer_vectors.json");
    const vectors = fixture.vectors.filter((vector) => !vector.text.includes("\0"));
    expect(vectors.length).toBeGreaterThanOrEqual(50);
    for (const vector of vectors) {
      expect(await value(`till_tokens(${text(vector.text)}, '${tokenizer}')`), JSON.stringify(vector.text)).toBe(vector.ids.length);
    }
  });

  it("names the file that is not a tokenizer", async () => {
    await expect(value("till_tokens('a', '/no/such/tokenizer.json')")).rejects.toThrow(/till_tokens: cannot read the tokenizer \/no\/such\/tokenizer.json/);
    await expect(value(`till_tokens('a', '${extension}')`)).rejects.toThrow(/is not a tokenizer.json/);
  });
});

describe("the extension", () => {
  it("loads into a second database of the same process", async () => {
    const second = await DuckDBInstance.create(":memory:", { allow_unsigned_extensions: "true" });
    const other = await second.connect();
    await other.run(`LOAD '${extension}'`);
    expect((await other.runAndReadAll("SELECT till_words('one two') AS n")).getRowObjectsJson()).toEqual([{ n: "2" }]);
    other.closeSync();
    second.closeSync();
  });

  it("has the version of the package", async () => {
    const { default: manifest } = await import("../../package.json");
    expect(await value("till_version()")).toBe(manifest.version);
  });

  it("has no function that panics on purpose", async () => {
    await expect(value("till_panic_for_tests()")).rejects.toThrow(/till_panic_for_tests does not exist/);
  });

  it("stops when the query is interrupted", async () => {
    const other = await instance.connect();
    const running = other.run("SELECT sum(till_words(text || r.i || repeat(text, 200))) FROM docs, range(2000) r(i)");
    setTimeout(() => other.interrupt(), 200);
    await expect(running).rejects.toThrow(/[Ii]nterrupt/);
    other.closeSync();
  });
});
