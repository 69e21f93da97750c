"""A model folder and an adapter written by Tillage, loaded by transformers and PEFT.

    python check_export.py --engine tillage-native --model DIR [--adapter DIR] --scratch DIR

`export.mjs` makes such folders and calls this. Checked, with the real libraries on one side and the engine on the other:
  * every tensor of the files finds its place, none is missing, none is left over;
  * logits, losses, all gradients, greedy tokens, and the adapter merged into the weights: this script writes a reference
    file as the fixtures have it, and `tillage-native parity` compares it with the fixtures' tolerances;
  * AutoTokenizer gives the engine's ids for plain texts, and its chat template the same text, ids and assistant mask;
  * `generate()` with the folder's own generation_config.json stops where the engine stops.
Prints one line a check; the exit code is 1 when one failed.
"""

import argparse
import json
import os
import subprocess
import warnings
from pathlib import Path

os.environ.update({"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"})

warnings.filterwarnings("ignore", category=FutureWarning)  # transformers about itself

import torch  # noqa: E402
from peft import AutoPeftModelForCausalLM, PeftModel, get_peft_model_state_dict  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

import checks  # noqa: E402
from checks import check, exported, finish  # noqa: E402

IGNORED = -100
TEXTS = [*checks.TEXTS, "I'll they've 3,141.59 <|im_end|> x<|endoftext|>y", ""]
CONVERSATIONS = [
    [{"role": "user", "content": "Who keeps the light?"}, {"role": "assistant", "content": " The keeper. "}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Naïve?\n\n"},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "{{ 1 + 1 }} <b>"},
        {"role": "assistant", "content": "Two\n lines."},
    ],
]


def engine(args: argparse.Namespace, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(args.engine), *words], capture_output=True, text=True, encoding="utf-8")


def engine_json(args: argparse.Namespace, *words: str) -> dict:
    done = engine(args, *words, "--json")
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return json.loads(done.stdout)


def load_base(path: Path) -> torch.nn.Module:
    model, info = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    wrong = {key: sorted(map(str, names)) for key, names in info.items() if names}
    check("transformers finds every tensor and no other", not wrong, wrong or "")
    return model.eval()


def batch(vocab: int, pad: int) -> dict:
    """Two rows of 48 and 31 tokens; the first half of each row and all padding carry no label.

    The padding token stands only in the padding: where it is an ordinary token too (as the end of a text, say), torch's
    `padding_idx` leaves out its row's gradient as an input, which the engine, having no padding, does not.
    """
    generator = torch.Generator().manual_seed(11)
    ids = torch.randint(0, vocab - 1, (2, 48), generator=generator)
    ids += ids >= pad
    mask = torch.ones_like(ids)
    mask[1, 31:] = 0
    ids[1, 31:] = pad
    labels = ids.clone()
    labels[0, :24] = IGNORED
    labels[1, :15] = IGNORED
    labels[mask == 0] = IGNORED
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, list[float]]:
    """Mean over all labelled tokens of the batch, and over those of each row."""
    each = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none")
    counted = (labels[:, 1:] != IGNORED).sum(1)
    return each.sum() / counted.sum(), (each.sum(1) / counted).tolist()


def greedy(model: torch.nn.Module, prompt: torch.Tensor, new: int) -> torch.Tensor:
    ids = prompt[None]
    with torch.no_grad():
        for _ in range(new):
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    return ids[0, len(prompt):]


def reference(base: torch.nn.Module, adapter: Path | None, path: Path) -> None:
    """Writes what torch computes as the fixtures have it: `path`.safetensors and `path`.json."""
    given = batch(base.config.vocab_size, base.config.pad_token_id)
    prompt = given["input_ids"][0, :12].clone()
    tensors = dict(given) | {"gen.prompt": prompt, "gen.base": greedy(base, prompt, 24)}
    ask = {k: v for k, v in given.items() if k != "labels"}
    logits = base(**ask).logits
    loss, rows = losses(logits, given["labels"])
    loss.backward()
    tensors["logits"] = (logits * given["attention_mask"][..., None]).detach()
    tensors |= {f"grad.{name}": p.grad.clone() for name, p in base.named_parameters()}
    scalars = {"loss": loss.item(), "per_example_loss": rows}
    if adapter is not None:
        tuned = PeftModel.from_pretrained(base, str(adapter), is_trainable=True).eval()
        with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}
        loaded = get_peft_model_state_dict(tuned)
        check("PEFT has the adapter's tensors, bit for bit", stored.keys() == loaded.keys() and all(torch.equal(stored[n], loaded[n]) for n in stored), f"{len(stored)} tensors")
        logits = tuned(**ask).logits
        loss, rows = losses(logits, given["labels"])
        loss.backward()
        change = (logits - tensors["logits"])[given["attention_mask"] == 1].abs().max().item()
        check("the adapter changes the logits", change > 1e-3, f"by up to {change:.3g}")
        tensors["lora.logits"] = logits[:1].detach().clone()
        tensors |= {f"lora.grad.{n.replace('.default', '')}": p.grad.clone() for n, p in tuned.named_parameters() if p.requires_grad}
        tensors["gen.lora"] = greedy(tuned, prompt, 24)
        scalars["lora"] = {"loss": loss.item(), "per_example_loss": rows}
        with torch.no_grad():
            tensors["merged.logits_every8"] = tuned.merge_and_unload()(input_ids=given["input_ids"][:1]).logits[:, ::8].clone()
    save_file({k: v.contiguous() for k, v in tensors.items()}, path.with_suffix(".safetensors"))
    path.with_suffix(".json").write_text(json.dumps(scalars))


def compare_numbers(args: argparse.Namespace) -> None:
    golden = args.scratch / "golden"
    reference(load_base(args.model), args.adapter, golden)
    words = ["parity", "--model", str(args.model), "--golden", str(golden.with_suffix(".safetensors"))]
    done = engine(args, *words, *(["--adapter", str(args.adapter)] if args.adapter else []))
    if not done.stdout.startswith("{"):
        return check("parity", False, done.stderr)
    report = json.loads(done.stdout)
    far = {name: worst(report[name]) for name in report if isinstance(report[name], dict) and name != "not_checked"}
    check("numbers agree within the fixtures' tolerances", done.returncode == 0 and report["ok"], report["failed"] or "")
    print("       largest difference over the largest value: " + ", ".join(f"{k} {v:.1e}" for k, v in far.items() if v is not None))
    expected = ["logits", "grads", "greedy"] + (["lora_logits", "lora_grads", "merged_logits"] if args.adapter else [])
    missing = [name for name in expected if name not in report]
    check("everything in the reference was compared", not report["not_checked"] and not missing, [report["not_checked"], missing] if report["not_checked"] or missing else f"{report['checks']} comparisons")


def worst(group: dict) -> float | None:
    """The largest `max_rel` of a group of the engine's report, whatever its depth."""
    found = [worst(v) for v in group.values() if isinstance(v, dict)] + [group.get("max_rel")]
    return max((v for v in found if v is not None), default=None)


def compare_text(args: argparse.Namespace) -> None:
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    file = args.scratch / "row.json"

    def ours(row: dict, template: str, loss_on: str) -> dict:
        file.write_text(json.dumps(row), encoding="utf-8")
        return engine_json(args, "tokens", "--model", str(args.model), "--row", str(file), "--template", template, "--loss-on", loss_on)

    for text in TEXTS:
        expected = tokenizer(text).input_ids + [tokenizer.eos_token_id]
        got = [t["id"] for t in ours({"text": text}, "plain", "all")["tokens"]]
        check(f"ids of {text[:20]!r} and the end token", got == expected, "" if got == expected else (got, expected))
    for messages in CONVERSATIONS:
        theirs = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        got = ours({"messages": messages}, "chat", "assistant")
        rendered = tokenizer.apply_chat_template(messages, tokenize=False)
        name = f"conversation of {len(messages)} turns"
        check(f"{name}: text", got["text"] == rendered, "" if got["text"] == rendered else (got["text"], rendered))
        check(f"{name}: ids", [t["id"] for t in got["tokens"]] == theirs["input_ids"])
        mask = [int(t["trained"]) for t in got["tokens"]]
        check(f"{name}: assistant mask", mask == theirs["assistant_masks"] and 0 < sum(mask) < len(mask), f"{sum(mask)} of {len(mask)}")


def compare_answers(args: argparse.Namespace) -> None:
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    # AutoPeftModel finds the base by what the adapter says about it.
    if args.adapter:
        model = AutoPeftModelForCausalLM.from_pretrained(str(args.adapter), dtype=torch.float32, attn_implementation="eager").eval()
    else:
        model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="eager").eval()
    prompts = [{"id": str(i), "prompt": c[-2]["content"]} for i, c in enumerate(CONVERSATIONS)]
    prompts += [{"id": f"asked-{i}", "prompt": p} for i, p in enumerate(args.ask)]
    file = args.scratch / "prompts.jsonl"
    file.write_text("".join(json.dumps(p) + "\n" for p in prompts), encoding="utf-8")
    words = ["generate", "--model", str(args.model), "--prompts", str(file), "--template", "chat", "--max-new", "40"]
    got = engine_json(args, *words, *(["--adapter", str(args.adapter)] if args.adapter else []))
    answers = {g["id"]: g for g in got["generations"]}
    for p in prompts:
        given = tokenizer.apply_chat_template([{"role": "user", "content": p["prompt"]}], add_generation_prompt=True, return_dict=True, return_tensors="pt")
        with torch.no_grad():
            out = model.generate(**given, max_new_tokens=40, do_sample=False)[0, given["input_ids"].shape[1]:]
        text, theirs = answers[p["id"]], tokenizer.decode(out, skip_special_tokens=True)
        same = text["text"] == theirs
        check(f"answer to {p['prompt'][:24]!r}", same, f"{theirs[:40]!r}, {len(out)} tokens" if same else (text, theirs, out.tolist()))


def main() -> None:
    parser = exported(__doc__)
    parser.add_argument("--ask", action="append", default=[], help="a further prompt for the comparison of answers")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    args.scratch.mkdir(parents=True, exist_ok=True)
    compare_numbers(args)
    compare_text(args)
    compare_answers(args)
    finish()


if __name__ == "__main__":
    main()
