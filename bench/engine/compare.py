"""Tillage's engine against PyTorch on the same shapes and token counts, in turns on one machine.

    cargo build --release -p tillage-bench --example step_speed        (in native/)
    python bench/engine/compare.py [--threads 2] [--only TEXT] [--json results.json]

Both sides stay loaded and take turns measurement by measurement, and who goes first alternates. Ratios are PyTorch's
time over the engine's: above 1 the engine is faster. Three are given, since other programs blur wall times:
  rounds   median of the rounds' own ratios, wall time, with the smallest and largest
  best     each side's fastest round, wall time: the nearest to a quiet machine
  CPU      median CPU time; with `--threads 1` the fairest on a busy machine, with more it counts waiting in loops as work
Weights are random, since shapes and not values decide the speed. PyTorch's OpenMP threads wait asleep unless
OMP_WAIT_POLICY says otherwise: on a busy machine, waiting in loops made them many times slower.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
root = Path(__file__).resolve().parents[2]
parser.add_argument("--engine", type=Path, default=root / "native/target/release/examples/step_speed")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, help="rounds of every case, in place of its own number")
parser.add_argument("--only", default="", help="cases whose name holds this text")
parser.add_argument("--json", type=Path, help="writes every single time here")
args = parser.parse_args()
os.environ.update({k: str(args.threads) for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")})
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.update({"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"})

import warnings  # noqa: E402

warnings.filterwarnings("ignore", category=FutureWarning)  # transformers about itself

import torch  # noqa: E402  (reads the environment when it is imported)
import transformers  # noqa: E402

from cases import CASES, Case  # noqa: E402
from torch_side import Generate, Generation, Training, build  # noqa: E402

WARM_UP = 2


class Engine:
    """`step_speed` in its paced mode: one line in, one measurement out."""

    def __init__(self, case: Case, folder: Path | None):
        tokens = max(case.tokens, 1)
        mode = {"generate": "answer"}.get(case.kind, case.kind)
        command = [str(args.engine), str(folder or case.shape), str(case.examples), str(tokens), "paced", mode, case.dtype]
        self.request = "step" if case.kind != "generate" else f"decode {case.tokens} {case.new}"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        about = self.read()
        if about["threads"] != args.threads:
            raise SystemExit(f"The engine runs with {about['threads']} threads, not {args.threads}.")
        self.parameters = about["parameters"]

    def read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"The engine ended with code {self.process.wait()}.")
        return json.loads(line)

    def measure(self) -> dict:
        self.process.stdin.write(self.request + "\n")
        self.process.stdin.flush()
        return self.read()

    def cpu_seconds(self) -> float:
        """Of all its threads, from the scheduler's own counters in nanoseconds."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def machine_cpu_seconds() -> float:
    fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def sides(case: Case, scratch: Path) -> dict:
    folder = None
    if case.kind == "generate":
        # What answers is a model in a folder.
        folder = scratch / "model"
        build(case, getattr(torch, "bfloat16" if case.bf16 else "float32")).save_pretrained(folder)
    made = {f"engine {case.dtype}": Engine(case, folder)}
    for name, dtype in [("torch f32", torch.float32)] + ([("torch bf16", torch.bfloat16)] if case.bf16 else []):
        if case.kind == "generate":
            made[name] = Generation(case, dtype)
            made[f"{name}, generate()"] = Generate(case, dtype)
        else:
            made[name] = Training(case, dtype)
    if case.bf16 and case.kind == "full":
        made["torch f32, autocast bf16"] = Training(case, torch.float32, mixed=True)
    return made


def run(case: Case) -> dict:
    with tempfile.TemporaryDirectory() as scratch:
        made = sides(case, Path(scratch))
    ours_name = f"engine {case.dtype}"
    engine = made[ours_name]

    def cpu(name: str) -> float:
        return engine.cpu_seconds() if made[name] is engine else time.process_time()

    first = {name: side.measure() for name, side in made.items()}
    for _ in range(WARM_UP - 1):
        for side in made.values():
            side.measure()
    before = (machine_cpu_seconds(), time.process_time(), engine.cpu_seconds(), time.perf_counter())
    wall: dict[str, list[float]] = {name: [] for name in made}
    spent: dict[str, list[float]] = {name: [] for name in made}
    rounds = args.rounds or case.rounds
    for turn in range(rounds):
        for name in sorted(made, reverse=turn % 2 == 1):
            begun = cpu(name)
            wall[name].append(made[name].measure()["seconds"])
            spent[name].append(cpu(name) - begun)
    passed = time.perf_counter() - before[3]
    others = machine_cpu_seconds() - before[0] - (time.process_time() - before[1]) - (engine.cpu_seconds() - before[2])
    engine.close()
    work = case.examples * case.new if case.kind == "generate" else case.examples * case.tokens
    ours = wall[ours_name]
    rows = {}
    for name, times in wall.items():
        ratios = [t / e for t, e in zip(times, ours)]
        rows[name] = {
            "median_s": statistics.median(times), "best_s": min(times), "cpu_s": statistics.median(spent[name]),
            "tokens_per_s": work / statistics.median(times), "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
            "ratio_best": min(times) / min(ours), "ratio_cpu": statistics.median(spent[name]) / statistics.median(spent[ours_name]),
            "first_loss": first[name].get("loss"), "wall": times, "cpu": spent[name],
        }  # fmt: skip
    return {"case": case.name, "rounds": rounds, "threads": args.threads, "parameters": engine.parameters, "rows": rows,
            "others_cpu": max(0.0, others) / (passed * os.cpu_count())}  # fmt: skip


def show(result: dict) -> None:
    print(f"\n{result['case']}: {result['rounds']} rounds; other programs used {result['others_cpu']:.0%} of the machine's CPU")
    print(f"  {'':24} {'median':>9} {'best':>9} {'CPU':>9}  tokens/s   ratio: rounds (smallest to largest)   best    CPU")
    for name, row in result["rows"].items():
        ms = "".join(f" {row[key] * 1e3:9.1f}" for key in ("median_s", "best_s", "cpu_s"))
        spread = f"({row['ratio_min']:.2f} to {row['ratio_max']:.2f})"
        loss = "" if row["first_loss"] is None else f"   first loss {row['first_loss']:.3f}"
        print(f"  {name:24}{ms}  {row['tokens_per_s']:8.0f}           {row['ratio']:5.2f} {spread:22} {row['ratio_best']:5.2f}  {row['ratio_cpu']:5.2f}{loss}", flush=True)


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    found = {key: next((x.split(":", 1)[1].strip() for x in lines if x.startswith(key)), "") for key in ("model name", "cpu family")}
    return f"{found['model name'] or platform.processor()} (family {found['cpu family']})"


def main() -> None:
    if not args.engine.is_file():
        raise SystemExit(f"{args.engine} is not there. In native/: cargo build --release -p tillage-bench --example step_speed")
    torch.set_num_threads(args.threads)
    print(f"{cpu_name()}, {os.cpu_count()} cores, threads each side: {args.threads}; torch {torch.__version__}, transformers {transformers.__version__}; "
          f"OMP_WAIT_POLICY {os.environ['OMP_WAIT_POLICY']}; load average {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
    results = []
    for case in CASES:
        if args.only in case.name:
            results.append(run(case))
            show(results[-1])
    if not results:
        sys.exit(f"No case's name holds {args.only!r}.")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    slowest = min(min(r["rows"]["torch f32"][key] for key in ("ratio", "ratio_best", "ratio_cpu")) for r in results)
    print(f"\nSmallest of all ratios against torch f32: {slowest:.2f}.")


if __name__ == "__main__":
    main()
