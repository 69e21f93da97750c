import type { Frame, Page } from "playwright-core";

/**
 * The document of a visible webview. VS Code puts each webview into an iframe of its own and the extension's page into a second
 * one inside; the inner one carries the page's title and its body's `data-panel`.
 */
export async function webviewFrame(page: Page, panel: string, timeout: number): Promise<Frame> {
  let seen: string[] = [];
  for (const until = Date.now() + timeout; ; ) {
    seen = [];
    for (const frame of page.frames()) {
      const about = await describe(frame);
      if (!about) continue;
      seen.push(`${about.panel || "?"} "${about.title}"${about.visible ? "" : " (hidden)"}`);
      if (about.visible && (about.panel === panel || about.title === panel)) return frame;
    }
    if (Date.now() > until) throw new Error(`No visible webview is called "${panel}". There are: ${seen.join(", ") || "none"}.`);
    await page.waitForTimeout(150);
  }
}

async function describe(frame: Frame): Promise<{ panel: string; title: string; visible: boolean } | undefined> {
  if (!frame.parentFrame()?.parentFrame()) return undefined;
  try {
    const inner = await frame.frameElement();
    const outer = await frame.parentFrame()?.frameElement();
    const visible = (await inner.isVisible()) && ((await outer?.isVisible()) ?? false);
    const about = await frame.evaluate(() => ({ panel: document.body.dataset["panel"] ?? "", title: document.title }));
    return { ...about, visible };
  } catch {
    // Frames come and go while a panel loads.
    return undefined;
  }
}
