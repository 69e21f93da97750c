import { describe, expect, it } from "vitest";
import { Lazy } from "./lazy";

class Part {
  disposed = 0;
  dispose(): void {
    this.disposed += 1;
  }
}

describe("Lazy", () => {
  it("makes its part once, at the first use", async () => {
    let made = 0;
    const lazy = new Lazy(async () => {
      made += 1;
      return new Part();
    });
    expect(made).toBe(0);
    const [a, b] = await Promise.all([lazy.get(), lazy.get()]);
    expect(a).toBe(b);
    expect(made).toBe(1);
  });

  it("tries again after a failure", async () => {
    let attempts = 0;
    const lazy = new Lazy(async () => {
      attempts += 1;
      if (attempts === 1) throw new Error("first");
      return new Part();
    });
    await expect(lazy.get()).rejects.toThrow("first");
    await expect(lazy.get()).resolves.toBeInstanceOf(Part);
  });

  it("ends a part that is still being made when it goes", async () => {
    const part = new Part();
    let finish: (() => void) | undefined;
    const lazy = new Lazy(() => new Promise<Part>((resolve) => (finish = () => resolve(part))));
    const pending = lazy.get();
    lazy.dispose();
    finish?.();
    await pending;
    await Promise.resolve();
    expect(part.disposed).toBe(1);
    await expect(lazy.get()).rejects.toThrow("shutting down");
  });
});
