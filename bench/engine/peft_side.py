"""One case of `runs.py` in PyTorch, transformers and PEFT, in a process of its own: `python peft_side.py CASE.json`.

Prints one line of JSON: useful tokens/s over the measured steps and the process's peak memory in MiB. A step is zero_grad,
forward, loss, backward, clipping at 1 and AdamW; attention is SDPA, and nothing is recomputed.
"""

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", category=FutureWarning)  # transformers about itself
case = json.loads(Path(sys.argv[1]).read_text())
os.environ.update({key: str(case["threads"]) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")})
os.environ.update({"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"})
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch  # noqa: E402  (reads the environment when it is imported)
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast  # noqa: E402

torch.set_num_threads(case["threads"])
torch.manual_seed(0)
tokenizer = PreTrainedTokenizerFast.from_pretrained(case["model"])
rows = []
for row in map(json.loads, Path(case["rows"]).read_text().splitlines()):
    prompt = tokenizer(row.get("prompt", ""), add_special_tokens=False)["input_ids"]
    completion = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
    ids = (prompt + completion)[: case["context"]]
    rows.append((ids, ([-100] * len(prompt) + completion)[: case["context"]]))


def batch(step: int) -> dict[str, torch.Tensor]:
    """The next rows, padded to the longest of them."""
    own = [rows[(step * case["batch"] + i) % len(rows)] for i in range(case["batch"])]
    width = max(len(ids) for ids, _ in own)
    x = torch.zeros(len(own), width, dtype=torch.long)
    mask, labels = torch.zeros_like(x), torch.full_like(x, -100)
    for i, (ids, label) in enumerate(own):
        x[i, : len(ids)], mask[i, : len(ids)], labels[i, : len(ids)] = torch.tensor(ids), 1, torch.tensor(label)
    return {"input_ids": x, "attention_mask": mask, "labels": labels}


def scored(model: torch.nn.Module) -> dict[str, float]:
    """Losses of all rows, `batch` of them at a time, after one batch that does not count."""
    losses, labels, tokens, start = 0.0, 0, 0, 0.0
    with torch.inference_mode():
        model(**batch(0), use_cache=False)
        start = time.perf_counter()
        for step in range(len(rows) // case["batch"]):
            inputs = batch(step)
            count = int((inputs["labels"][:, 1:] != -100).sum())
            losses += float(model(**inputs, use_cache=False).loss) * count
            labels, tokens = labels + count, tokens + int(inputs["attention_mask"].sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"tokens_per_s": tokens / (time.perf_counter() - start), "tokens_per_step": tokens, "peak_mib": peak, "loss": losses / labels}


mixed = case["dtype"] == "autocast"
dtype = torch.float32 if mixed else getattr(torch, case["dtype"])
model = AutoModelForCausalLM.from_pretrained(case["model"], dtype=dtype, attn_implementation="sdpa")
if case["lora"]:
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=names, task_type="CAUSAL_LM"))
if case["score"]:
    print(json.dumps(scored(model)))
    sys.exit()
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.01, fused=True)
seconds = tokens = 0
for step in range(case["warm_up"] + case["steps"]):
    inputs = batch(step)
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        loss = model(**inputs, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    if step >= case["warm_up"]:
        seconds += time.perf_counter() - start
        tokens += int(inputs["attention_mask"].sum())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"tokens_per_s": tokens / seconds, "tokens_per_step": tokens / case["steps"], "peak_mib": peak, "loss": loss.item()}))
