import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();

describe("pii", () => {
  it("drops, flags or redacts only the kinds asked for", async () => {
    bench.rows([{ text: "Write to a@example.org" }, { text: "Server at 192.168.10.20" }, { text: "Nothing here" }]);
    expect((await bench.counts("  - pii: { action: drop, kinds: [email] }\n")).steps[0]).toMatchObject({ out: 2, changed: 0 });
    const flagged = await bench.dropped("  - pii: { action: flag }\n");
    expect(flagged.map(({ effect, reason, value }) => [effect, reason, value])).toEqual([["flagged", "email", "1"], ["flagged", "ip", "1"]]);
    expect((await bench.counts("  - pii: { action: flag }\n")).steps[0]).toMatchObject({ in: 3, out: 3, changed: 0 });
    expect((await bench.counts("  - pii: { action: redact, kinds: [ip] }\n")).steps[0]).toMatchObject({ out: 3, changed: 1 });
  });

  it("redacts secrets whose check sum is right", async () => {
    // A revoked token that is published as an example of the format.
    const token = ["ghp", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"].join("_");
    const wrong = token.replace(/7$/, "8");
    bench.rows([{ text: `git clone with ${token}.` }, { text: `git clone with ${wrong}.` }]);
    const built = await bench.built("  - pii: { action: redact, kinds: [secret] }\n");
    expect(built.rows.map((row) => row.text).sort()).toEqual(["git clone with <SECRET>.", `git clone with ${wrong}.`]);
    expect(built.receipts.map(({ effect, reason, value }) => [effect, reason, value])).toEqual([["changed", "secret", "1"]]);
  });

  it("redacts prompts and completions, and leaves the kinds alone that were not asked for", async () => {
    bench.rows([{ prompt: "Who is a@example.org at 192.168.10.20?", completion: "Ask b@example.org." }]);
    const built = await bench.built("  - pii: { action: redact, kinds: [email] }\n");
    const [row] = built.rows;
    expect([row?.prompt, row?.completion]).toEqual(["Who is <EMAIL> at 192.168.10.20?", "Ask <EMAIL>."]);
    // The receipt tells what was there before.
    expect(built.receipts.map((receipt) => receipt.text)).toEqual(["Who is a@example.org at 192.168.10.20?\nAsk b@example.org."]);
  });
});
