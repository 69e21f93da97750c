/** A part that is made at its first use, once; a failed attempt is forgotten, so that the next use tries again. */
export class Lazy<T extends { dispose(): void }> {
  private made: Promise<T> | undefined;
  private gone = false;

  constructor(private readonly make: () => Promise<T>) {}

  /** Rejects with what the maker threw, or when the owner is already disposed of. */
  get(): Promise<T> {
    if (this.gone) return Promise.reject(new Error("Tillage is shutting down."));
    this.made ??= this.make().catch((error: unknown) => {
      this.made = undefined;
      throw error;
    });
    return this.made;
  }

  /** Ends the part, also one that is still being made. */
  dispose(): void {
    this.gone = true;
    const made = this.made;
    this.made = undefined;
    void made?.then((item) => item.dispose(), () => undefined);
  }
}
