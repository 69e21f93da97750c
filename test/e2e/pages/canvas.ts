import type { Locator } from "playwright-core";

/**
 * How many pixels of the canvases in an element have a colour. Curves have one; axes, grid and labels are grey and count nothing,
 * so that an empty chart gives 0.
 */
export async function colouredPixels(element: Locator): Promise<number> {
  return element.evaluate((node) => {
    // Playwright's locators look through shadow roots; querySelectorAll does not.
    const canvases: HTMLCanvasElement[] = [];
    const visit = (root: Element | ShadowRoot): void => {
      if (root instanceof HTMLCanvasElement) canvases.push(root);
      if (root instanceof Element && root.shadowRoot) visit(root.shadowRoot);
      for (const child of root.children) visit(child);
    };
    visit(node);
    let coloured = 0;
    for (const canvas of canvases) {
      if (canvas.width === 0 || canvas.height === 0) continue;
      const { data } = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: new Uint8ClampedArray() };
      for (let at = 0; at < data.length; at += 4) {
        const [red = 0, green = 0, blue = 0, alpha = 0] = data.subarray(at, at + 4);
        if (alpha > 64 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) coloured++;
      }
    }
    return coloured;
  });
}
