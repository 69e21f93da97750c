import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { VsCode } from "../harness/vscode";
import { fresh, open, pictureOfFailure } from "./context";
import { MixerPage } from "./pages/mixer";
import { until } from "./pages/poll";

const recipe = "corpus.recipe.yaml";

describe("the mixer", () => {
  let code: VsCode;
  let mixer: MixerPage;
  beforeAll(async () => {
    code = await open(fresh);
    mixer = await MixerPage.open(code, recipe);
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());

  const written = (): Record<string, number> => {
    const { mix } = parse(code.read(recipe)) as { mix: { shares: Record<string, string> } };
    return Object.fromEntries(Object.entries(mix.shares).map(([group, share]) => [group, Number.parseFloat(share)]));
  };

  it("shows the shares that the recipe asks for", async () => {
    expect(await mixer.shares()).toEqual(written());
    await code.screenshotThemes("mixer");
  });

  it("writes the recipe when a slider is moved, and rescales the other groups", async () => {
    const before = written();
    await mixer.drag("notes", 80);
    const after = await until("the recipe's shares", written, (shares) => (shares["notes"] ?? 0) > 75);
    expect(after["notes"]).toBeGreaterThan(75);
    expect(after["notes"]).toBeLessThan(85);
    expect(after["web"]).toBeLessThan(before["web"] ?? 0);
    expect(Object.values(after).reduce((sum, share) => sum + share, 0)).toBeCloseTo(100, 0);
    expect(code.read(recipe)).toContain("# Old notes with figures that no longer hold.");
    await code.screenshotThemes("mixer-moved");
  });

  it("follows the text", async () => {
    code.write(recipe, code.read(recipe).replace(/shares: \{.*\}/, "shares: { notes: 20%, letters: 30%, web: 50% }"));
    await until("the sliders", () => mixer.shares(), (shares) => shares["web"] === 50);
    expect(await mixer.shares()).toEqual({ notes: 20, letters: 30, web: 50 });
  });

  it("shows what rows weigh, the synthetic share with its limit, and what limits the budget", async () => {
    const text = code.read(recipe).replace("  - decontaminate", "  - weight: { where: \"words > 80\", factor: 2 }\n  - decontaminate");
    code.write(recipe, text.replace("  max_epochs: 2", "  max_epochs: 2\n  synthetic: { column: source, values: [web], max_share: 20% }"));
    const synthetic = mixer.frame.getByTestId("mixer-synthetic");
    await synthetic.waitFor({ timeout: 60_000 });
    const words = await until("the synthetic share", () => synthetic.innerText(), (shown) => shown.includes("20 % in the mix"));
    expect(words).toContain("limit 20 %");
    expect(words).toContain("web has nothing else");
    const about = await until("what the rows weigh", () => mixer.row("notes").getByTestId("mix-about").innerText(), (shown) => shown.includes("weight"));
    expect(about).toMatch(/^weight 1\.\d$/);
    expect(await mixer.row("web").getByTestId("mix-about").innerText()).toContain("100 % synthetic");
    expect(await mixer.row("notes").getByTestId("mix-most").innerText()).toMatch(/up to \d/);
    expect(await mixer.share("web")).toBeCloseTo(20, 1);
    expect(await mixer.frame.getByTestId("mixer-limits").innerText()).toMatch(/^Budget: .* tokens/);
    await code.screenshotThemes("mixer-weights");
  });
});
