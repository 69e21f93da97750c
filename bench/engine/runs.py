"""Whole runs: `tillage-native train` beside PyTorch, transformers and PEFT, in turns on one machine.

    (cd native && cargo build --release)
    python bench/engine/runs.py --text gsm8k_train.jsonl --tokenizer FOLDER [--only TEXT] [--rounds 2] [--steps 4] [--scratch DIR]

Useful tokens/s (padding does not count) and peak memory of the process. The model folders have random weights in bf16, the
rows are those of a JSON Lines file with `question` and `answer`, tokenised with the tokenizer of a folder. Cases:
  rows    LoRA r=16 on all linear layers, loss on the answers, rows as they come: 8 rows padded to the longest of them there,
          packed into batches of as many tokens here
  dense   the same on 4 texts of 256 tokens, loss on all of it, so that nobody pads
  full    all weights of a small model, f32 on both sides, or mixed precision beside autocast and bf16 alone
  score   losses of the answers of 64 rows, nothing trained: `tillage-native score` beside a forward pass without gradients
Every run is a process of its own. The engine's steps are read from its events; the first steps count on neither side, nor does loading.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
root = Path(__file__).resolve().parents[2]
parser.add_argument("--engine", type=Path, default=root / "native/target/release/tillage-native")
parser.add_argument("--text", type=Path, required=True)
parser.add_argument("--tokenizer", type=Path, required=True)
parser.add_argument("--scratch", type=Path, help="where model folders are made, and kept")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--steps", type=int, default=4, help="measured steps of a run")
parser.add_argument("--only", default="", help="cases whose name holds this text")
parser.add_argument("--json", type=Path, help="writes every measurement here")
args = parser.parse_args()
scratch = args.scratch or Path(tempfile.mkdtemp(prefix="tillage-bench-"))
scratch.mkdir(parents=True, exist_ok=True)
WARM_UP = 2
SCORED = 64

SHAPES = {
    "smollm2-135m": ("LlamaConfig", dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3)),
    "qwen2.5-0.5b": ("Qwen2Config", dict(vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2)),
    "llama-3.2-1b": ("LlamaConfig", dict(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8)),
    "tiny5m": ("LlamaConfig", dict(vocab_size=4096, hidden_size=256, intermediate_size=512, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=8)),
}
# name: shape, kind, the engine's dtype, PyTorch's dtypes, tokens of the engine's batch, rows of PyTorch's, context
CASES = {
    "rows, SmolLM2-135M's shape": ("smollm2-135m", "rows", "bf16", ["bfloat16", "float32"], 1400, 8, 1024),
    "dense, SmolLM2-135M's shape": ("smollm2-135m", "dense", "bf16", ["bfloat16", "float32"], 1024, 4, 256),
    "rows, Qwen2.5-0.5B's shape": ("qwen2.5-0.5b", "rows", "bf16", ["bfloat16"], 1400, 8, 1024),
    "dense, Qwen2.5-0.5B's shape": ("qwen2.5-0.5b", "dense", "bf16", ["bfloat16"], 1024, 4, 256),
    "full, 5 M llama, f32": ("tiny5m", "full", "f32", ["float32"], 4096, 16, 256),
    "full, 5 M llama, mixed precision": ("tiny5m", "full", "bf16", ["autocast", "bfloat16"], 4096, 16, 256),
    "score, SmolLM2-135M's shape": ("smollm2-135m", "score", "bf16", ["bfloat16", "float32"], 2048, 8, 1024),
    "QLoRA alone, 1B shape, 1,024 tokens": ("llama-3.2-1b", "rows", "nf4", [], 1024, 0, 1024),
}


def model(shape: str) -> Path:
    folder = scratch / f"model-{shape}"
    if not folder.exists():
        import torch
        import transformers

        cls, fields = SHAPES[shape]
        torch.manual_seed(0)
        torch.set_default_dtype(torch.bfloat16)
        config = getattr(transformers, cls)(**fields, max_position_embeddings=8192, tie_word_embeddings=True, dtype="bfloat16")
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(args.tokenizer / name, folder / name)
    return folder


def rows(kind: str) -> tuple[Path, Path]:
    """The case's rows as JSON Lines and as Parquet."""
    import pyarrow
    import pyarrow.parquet
    from transformers import PreTrainedTokenizerFast

    lines = [json.loads(line) for line in args.text.read_text().splitlines()[:2000]]
    made = [{"prompt": f"<|im_start|>user\n{r['question']}<|im_end|>\n<|im_start|>assistant\n", "completion": f"{r['answer']}<|im_end|>\n"} for r in lines]
    if kind == "score":
        made = made[:SCORED]
    elif kind != "rows":
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.tokenizer)
        ids = [i for r in made for i in tokenizer(r["prompt"] + r["completion"], add_special_tokens=False)["input_ids"]]
        # Some tokens more than the context: both sides cut.
        made = [{"completion": tokenizer.decode(ids[at : at + 280])} for at in range(0, len(ids) - 280, 280)]
    stem = scratch / f"rows-{kind}"
    stem.with_suffix(".jsonl").write_text("".join(json.dumps(r) + "\n" for r in made))
    columns = {"_row_id": [f"row-{i}" for i in range(len(made))]}
    columns |= {"text" if kind in ("dense", "full") and key == "completion" else key: [r[key] for r in made] for key in made[0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), stem.with_suffix(".parquet"))
    return stem.with_suffix(".jsonl"), stem.with_suffix(".parquet")


def peak_of(command: list[str], out: int | IO[str] = subprocess.DEVNULL) -> float:
    """A command's peak memory in MiB; its own, since a child's begins with that of the process that started it."""
    process = subprocess.Popen(command, stdout=out)
    peak = 0.0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        peak = max([peak, *(int(mark) / 1024 for mark in marks)])
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return peak


def engine(shape: str, kind: str, dtype: str, tokens: int, context: int, parquet: Path, recompute: str) -> dict:
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=scratch))
    spec = {
        "version": 1, "id": "bench", "name": "bench", "objective": "sft" if kind == "rows" else "pretrain",
        "model": {"kind": "folder", "path": str(model(shape))},
        "data": {"train": [str(parquet)]}, "template": {"kind": "plain"}, "loss_on": "completion" if kind == "rows" else "all",
        "train": {"epochs": 10, "max_steps": WARM_UP + args.steps, "batch_tokens": tokens, "context": context, "lr": 1e-4, "schedule": "constant", "weight_decay": 0.01, "seed": 1},
        "threads": args.threads,
    }  # fmt: skip
    spec["dtype"] = dtype
    if kind != "full":
        spec["train"]["recompute"] = recompute
        spec["adapter"] = {"r": 16, "alpha": 32, "targets": ["all-linear"]}
    (folder / "run.json").write_text(json.dumps(spec))
    peak = peak_of([str(args.engine), "train", str(folder)])
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    planned = next(e["planned_bytes"] for e in events if e["type"] == "started") / 2**20
    steps = [e for e in events if e["type"] == "step"]
    # `seconds` runs through the whole attempt, data and events included; `tokens` of a step are the labelled ones only.
    took = [after["seconds"] - before["seconds"] for before, after in zip(steps[WARM_UP - 1 :], steps[WARM_UP:])]
    steps = steps[WARM_UP:]
    count = sum(e["tokens_per_second"] * t for e, t in zip(steps, took))
    shutil.rmtree(folder)
    return {"tokens_per_s": count / sum(took), "tokens_per_step": count / len(steps), "peak_mib": peak, "planned_mib": planned, "loss": steps[-1]["loss"]}


def score(shape: str, dtype: str, tokens: int, context: int, parquet: Path) -> dict:
    out, told = scratch / "scores.parquet", scratch / "scores.jsonl"
    command = [str(args.engine), "score", "--json", "--model", str(model(shape)), "--dtype", dtype, "--rows", str(parquet), "--out", str(out),
               "--context", str(context), "--batch-tokens", str(tokens), "--threads", str(args.threads)]  # fmt: skip
    with told.open("w") as file:
        peak = peak_of(command, file)
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    last = [line["progress"] for line in lines if line["type"] == "progress"][-1]
    assert last["rows"] == SCORED, last
    loss = lines[-1]["result"]["loss"]
    return {"tokens_per_s": last["tokens"] / last["seconds"], "tokens_per_step": last["tokens"], "peak_mib": peak, "loss": loss}


def peft(shape: str, kind: str, dtype: str, batch: int, context: int, jsonl: Path) -> dict:
    case = {"model": str(model(shape)), "rows": str(jsonl), "dtype": dtype, "lora": kind in ("rows", "dense"), "score": kind == "score", "batch": batch, "context": context,
            "threads": args.threads, "warm_up": WARM_UP, "steps": args.steps}  # fmt: skip
    path = scratch / "case.json"
    path.write_text(json.dumps(case))
    command = [sys.executable, str(Path(__file__).with_name("peft_side.py")), str(path)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


results = {}
for name, (shape, kind, dtype, others, tokens, batch, context) in CASES.items():
    if args.only not in name:
        continue
    jsonl, parquet = rows(kind)
    ways = ["always"] if not others else ["never"] if kind in ("full", "score") else ["never", "always"]
    label = {"never": f"engine {dtype}", "always": f"engine {dtype}, recomputed"}
    if kind == "score":
        sides = {label["never"]: lambda: score(shape, dtype, tokens, context, parquet)}
    else:
        sides = {label[way]: (lambda way=way: engine(shape, kind, dtype, tokens, context, parquet, way)) for way in ways}
    sides |= {f"PyTorch {other}": (lambda other=other: peft(shape, kind, other, batch, context, jsonl)) for other in others}
    measured: dict[str, list[dict]] = {side: [] for side in sides}
    for turn in range(args.rounds):
        for side in sorted(sides, reverse=turn % 2 == 1):
            measured[side].append(sides[side]())
    results[name] = measured
    print(f"\n{name}: {args.rounds} rounds of {args.steps} steps, {args.threads} threads")
    ours = measured[label[ways[0]]]
    for side, each in measured.items():
        speed, peak = statistics.median(e["tokens_per_s"] for e in each), max(e["peak_mib"] for e in each)
        ratios = [o["tokens_per_s"] / e["tokens_per_s"] for o, e in zip(ours, each)]
        more = f"   planned {each[0]['planned_mib']:.0f} MiB" if "planned_mib" in each[0] else ""
        print(
            f"  {side:24} {speed:7.0f} useful tokens/s ({each[0]['tokens_per_step']:.0f} a step), peak {peak:6.0f} MiB"
            f"   engine over it {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), memory {max(o['peak_mib'] for o in ours) / peak:.2f}{more}",
            flush=True,
        )
if args.json:
    args.json.write_text(json.dumps(results, indent=1))
