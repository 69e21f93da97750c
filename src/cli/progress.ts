import { Presets, SingleBar } from "cli-progress";
import pc from "picocolors";

/** A bar on a terminal; nothing where no person looks. */
export interface Progress {
  update(done: number, total: number, text: string): void;
  stop(): void;
}

/** @param quiet prints nothing at all, for `--json` */
export function progress(title: string, quiet: boolean): Progress {
  if (quiet) return { update: () => undefined, stop: () => undefined };
  if (!process.stderr.isTTY) return plainProgress(title);
  const bar = new SingleBar({ format: `  ${title} ${pc.cyan("{bar}")} {value}/{total} {text}`, hideCursor: true, clearOnComplete: true, barsize: 28, stream: process.stderr }, Presets.shades_classic);
  let started = false;
  return {
    update: (done, total, text) => {
      if (!started) bar.start(total, done, { text });
      started = true;
      bar.setTotal(total);
      bar.update(done, { text });
    },
    stop: () => {
      if (started) bar.stop();
    },
  };
}

/** In a log: a line at each tenth of the way. */
function plainProgress(title: string): Progress {
  let last = -1;
  return {
    update: (done, total, text) => {
      const tenth = total > 0 ? Math.floor((done / total) * 10) : 0;
      if (tenth === last) return;
      last = tenth;
      process.stderr.write(`  ${title} ${done}/${total} ${text}\n`);
    },
    stop: () => undefined,
  };
}
