import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import * as vscode from "vscode";
import { escapeHtml } from "../core/escape-html";

/** The page of one panel: a nonce'd script, VS Code's own style, nothing from anywhere else. */
export function webviewHtml(webview: vscode.Webview, extensionUri: vscode.Uri, panel: string, title: string): string {
  const nonce = randomBytes(16).toString("base64");
  const asset = (name: string): string => webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, "dist", "webview", name)).toString();
  const style = vscode.Uri.joinPath(extensionUri, "dist", "webview", `${panel}.css`);
  const csp = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' ${webview.cspSource}`,
    // Lit and the element library set styles through constructed sheets and style attributes; no script can come in this way.
    `style-src ${webview.cspSource} 'unsafe-inline'`,
    `font-src ${webview.cspSource}`,
    `img-src ${webview.cspSource} data:`,
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${csp}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link id="vscode-codicon-stylesheet" rel="stylesheet" href="${asset("codicon.css")}">
${existsSync(style.fsPath) ? `<link rel="stylesheet" href="${asset(`${panel}.css`)}">
` : ""}<title>${escapeHtml(title)}</title>
</head>
<body data-panel="${panel}">
<tillage-${panel}></tillage-${panel}>
<script type="module" nonce="${nonce}" src="${asset(`${panel}.js`)}"></script>
</body>
</html>`;
}

/** Options that every panel's webview has. */
export function webviewOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(extensionUri, "dist", "webview")] };
}
