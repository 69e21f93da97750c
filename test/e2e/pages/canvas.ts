import type { Locator } from "playwright-core";

/** How many pixels of the canvases in an element have been drawn on; charts that show nothing have none. */
export async function drawnPixels(element: Locator): Promise<number> {
  return element.evaluate((node) => {
    // Playwright's locators look through shadow roots; querySelectorAll does not.
    const canvases: HTMLCanvasElement[] = [];
    const visit = (root: Element | ShadowRoot): void => {
      if (root instanceof HTMLCanvasElement) canvases.push(root);
      if (root instanceof Element && root.shadowRoot) visit(root.shadowRoot);
      for (const child of root.children) visit(child);
    };
    visit(node);
    let drawn = 0;
    for (const canvas of canvases) {
      if (canvas.width === 0 || canvas.height === 0) continue;
      const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
      for (let at = 3; at < data.length; at += 4) if (data[at] !== 0) drawn++;
    }
    return drawn;
  });
}
