import { corpusMethods, type CorpusApi } from "../protocol/corpus";
import type { Disposable } from "./client";
import type { CorpusOptions, CorpusService } from "./service";

/** The corpus service in this process, for the command line. DuckDB is loaded at the first call, so that whoever imports this file does not pay for it. */
export function createLocalCorpus(options: CorpusOptions = {}): CorpusApi & Disposable {
  let service: Promise<CorpusService> | undefined;
  const get = () => (service ??= import("./service").then((module) => new module.CorpusService(options)));
  const call = (method: keyof CorpusApi) => async (...args: unknown[]) => {
    const target = await get();
    return (target[method] as (...rest: unknown[]) => Promise<unknown>).apply(target, args);
  };
  const calls = Object.fromEntries(corpusMethods.map((method) => [method, call(method)]));
  return { ...(calls as unknown as CorpusApi), dispose: () => void service?.then((target) => target.dispose()).catch(() => undefined) };
}
