import * as vscode from "vscode";

/** Owns disposables and lets none leak: what is registered goes when its owner goes. */
export abstract class Owner implements vscode.Disposable {
  private readonly owned: vscode.Disposable[] = [];
  private gone = false;

  protected register<T extends vscode.Disposable>(item: T): T {
    if (this.gone) item.dispose();
    else this.owned.push(item);
    return item;
  }

  get disposed(): boolean {
    return this.gone;
  }

  dispose(): void {
    if (this.gone) return;
    this.gone = true;
    for (const item of this.owned.splice(0).reverse()) item.dispose();
  }
}
