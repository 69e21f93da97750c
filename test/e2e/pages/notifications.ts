import type { Locator } from "playwright-core";
import type { VsCode } from "../../harness/vscode";

/** The notification that holds a text, while it is shown. */
export function notification(code: VsCode, text: string | RegExp): Locator {
  return code.page.locator(".notifications-toasts .notification-list-item", { hasText: text }).first();
}

/** Presses a button of a notification, such as Cancel. */
export async function press(shown: Locator, button: string): Promise<void> {
  await shown.waitFor({ timeout: 30_000 });
  await shown.hover();
  await shown.locator(".monaco-button", { hasText: button }).first().click();
}
