/** Waits until `probe` gives something that `good` accepts; the error says what was last seen. */
export async function until<T>(what: string, probe: () => Promise<T> | T, good: (value: T) => boolean, timeout = 30_000): Promise<T> {
  let last: T | undefined;
  for (const end = Date.now() + timeout; ; ) {
    last = await probe();
    if (good(last)) return last;
    if (Date.now() > end) throw new Error(`${what}: not within ${timeout / 1000} s; last seen: ${JSON.stringify(last).slice(0, 500)}`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}
