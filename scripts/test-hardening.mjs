// @ts-check
// Hardening of the engine: Miri, AddressSanitizer and ThreadSanitizer over the kernels, kernels and models on Arm, and the fuzzers. Not part of
// `npm test`.
// usage: npm run test:hardening [-- --only miri,asan,tsan,neon,fuzz] [-- --seconds 600] [-- --targets config,template]
// Needs a nightly toolchain with the components miri and rust-src, and cargo-fuzz; for neon the target aarch64-unknown-linux-gnu and
// Debian's packages qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross.
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { cache, duration, entry, Failure, root, run, say } from "./lib/run.mjs";

const native = path.join(root, "native");
const fuzz = path.join(native, "fuzz");
const remedy = "Install what is missing: `rustup toolchain install nightly --component miri,rust-src`, `cargo install cargo-fuzz`; otherwise read the output above.";
const { values } = parseArgs({
  options: {
    only: { type: "string", default: "miri,asan,tsan,neon,fuzz" },
    seconds: { type: "string", default: "600" },
    targets: { type: "string", default: "" },
  },
});

/** @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
const cargo = (args, env = {}) => run("cargo", ["+nightly", ...args], { cwd: native, env: { ...process.env, ...env }, quiet: false, remedy });

const ARM = "aarch64-unknown-linux-gnu";
const emulated = {
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: "aarch64-linux-gnu-gcc",
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER: "qemu-aarch64 -L /usr/aarch64-linux-gnu",
};

/** The kernels under a sanitizer, whose builds lie apart from the usual ones. @param {string} name @param {string[]} more */
const sanitized = (name, more) =>
  cargo(["test", "-p", "tillage-kernels", "--target", "x86_64-unknown-linux-gnu", "--target-dir", path.join(native, "target", name), ...more], {
    RUSTFLAGS: `-Zsanitizer=${name}`,
    RUSTDOCFLAGS: `-Zsanitizer=${name}`,
  });

/** @type {Record<string, () => Promise<unknown>>} */
const tiers = {
  // One thread: Miri sees what a thread does, ThreadSanitizer what several do. The mapping of files is the system's. The conformance
  // suite would take hours under it: AddressSanitizer runs that one. rayon's queues follow tree borrows and not stacked ones, and its
  // threads outlive the tests.
  miri: () =>
    cargo(["miri", "test", "-p", "tillage-kernels", "--lib"], {
      MIRIFLAGS: "-Zmiri-disable-isolation -Zmiri-permissive-provenance -Zmiri-tree-borrows -Zmiri-ignore-leaks",
      RAYON_NUM_THREADS: "1",
    }),
  asan: () => sanitized("address", ["--release"]),
  // The standard library is built along, so that its locks are seen too.
  tsan: () => sanitized("thread", ["--release", "-Zbuild-std", "--test", "conformance"]),
  // On a machine of Arm, or on the emulated processor: the kernels, and every family against its reference.
  neon: () =>
    run("cargo", ["test", "--release", "-p", "tillage-kernels", "-p", "tillage-model", "--test", "conformance", "--test", "fixtures", "--target", ARM], {
      cwd: native,
      env: { ...process.env, ...(process.arch === "arm64" ? {} : emulated) },
      quiet: false,
      remedy: `Install what is missing: \`rustup target add ${ARM}\`, and the packages qemu-user, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross; otherwise read the output above.`,
    }),
  fuzz: fuzzAll,
};

/** Every target for a while, from its kept seeds and what earlier runs found. */
async function fuzzAll() {
  const all = readdirSync(path.join(fuzz, "fuzz_targets")).map((file) => path.basename(file, ".rs"));
  const wanted = values.targets === "" ? all : values.targets.split(",");
  const unknown = wanted.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Failure(`There is no fuzz target ${unknown.join(", ")}.`, `Choose among ${all.join(", ")}.`);
  for (const target of wanted) {
    const corpus = path.join(cache, "fuzz", target);
    mkdirSync(corpus, { recursive: true });
    const limits = [`-max_total_time=${values.seconds}`, "-rss_limit_mb=2048", "-timeout=10", "-max_len=65536"];
    await cargo(["fuzz", "run", "--fuzz-dir", fuzz, "-O", target, corpus, path.join(fuzz, "seeds", target), "--", ...limits]);
  }
}

await entry(import.meta, async () => {
  if (!existsSync(fuzz)) throw new Failure("native/fuzz is not there.", "Run this in a whole clone.");
  for (const name of values.only.split(",")) {
    const tier = tiers[name];
    if (!tier) throw new Failure(`There is no tier ${name}.`, `Choose among ${Object.keys(tiers).join(", ")}.`);
    const started = performance.now();
    say(`- ${name}`);
    await tier();
    say(`  ${name} passed in ${duration(performance.now() - started)}.`);
  }
});
