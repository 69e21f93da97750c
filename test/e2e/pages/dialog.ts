import type { VsCode } from "../../harness/vscode";
import { until } from "./poll";

/**
 * Accepts VS Code's own dialog for a place until it is gone: while it reads a folder it may take no notice of a key or a press. With `replace` it also
 * says yes to the question whether a file is to be replaced; without, that question is an error.
 */
export async function acceptPlace(code: VsCode, replace = false): Promise<void> {
  const input = code.page.locator(".quick-input-widget input.input:visible");
  // The dialog has an OK of its own; the question is told by its words.
  const question = code.page.locator(".quick-input-widget .quick-input-title:visible", { hasText: /already exists/ });
  const ok = code.page.locator(".quick-input-widget .monaco-button:visible", { hasText: /^OK$/ }).first();
  let answered = !replace;
  await until("the dialog to take the place", async () => {
    if (await question.isVisible()) {
      if (!replace) throw new Error("VS Code asks whether a file is to be replaced.");
      answered = await ok.click({ timeout: 2_000 }).then(() => true, () => answered);
    } else if (await input.isVisible()) {
      await input.press("Enter", { timeout: 2_000 }).catch(() => undefined);
    }
    const gone = async (): Promise<boolean> => answered && !(await question.isVisible()) && !(await input.isVisible());
    for (const end = Date.now() + 2_000; Date.now() < end && !(await gone()) && !(replace && !answered && (await question.isVisible())); ) await code.page.waitForTimeout(50);
    return gone();
  }, (gone) => gone);
}
