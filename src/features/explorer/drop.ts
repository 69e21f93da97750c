import * as vscode from "vscode";
import { formatOfName, formatsSentence } from "../../core/dataset/formats";
import type { TreeNode } from "./nodes";

const URIS = "text/uri-list";

/** Files dropped on the tree are added as corpora; corpora dragged out of it open where they are dropped. */
export class AddByDrop implements vscode.TreeDragAndDropController<TreeNode> {
  readonly dropMimeTypes = [URIS];
  readonly dragMimeTypes = [URIS];

  handleDrag(nodes: readonly TreeNode[], data: vscode.DataTransfer): void {
    const uris = nodes.flatMap((node) => (node.fsPath === undefined ? [] : [vscode.Uri.file(node.fsPath).toString()]));
    if (uris.length > 0) data.set(URIS, new vscode.DataTransferItem(uris.join("\r\n")));
  }

  async handleDrop(_target: TreeNode | undefined, data: vscode.DataTransfer): Promise<void> {
    const text = await data.get(URIS)?.asString();
    const files = (text ?? "").split(/\r?\n/u).filter((line) => line !== "" && !line.startsWith("#")).map((line) => vscode.Uri.parse(line));
    const corpora = files.filter((uri) => uri.scheme === "file" && formatOfName(uri.path) !== undefined);
    if (corpora.length === 0) {
      void vscode.window.showInformationMessage(`A corpus is a file that ends in ${formatsSentence}.`);
      return;
    }
    for (const file of corpora) await vscode.commands.executeCommand("tillage.corpus.add", file);
  }
}
