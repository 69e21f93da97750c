"""Tuned prompts and mixtures of adapters, as PEFT and as the engine compute them.

    python check_adapters.py --engine tillage-native --model DIR --prompts FILE.jsonl --prompt DIR [--step-loss X --rows FILE.json]
    python check_adapters.py --engine tillage-native --model DIR --prompts FILE.jsonl --adapter NAME=DIR:WEIGHT --adapter ...

Checked: PEFT loads what the engine wrote; greedy answers of both are the same tokens, with the same log-probabilities. A mixture is
PEFT's `add_weighted_adapter` with the combination `cat`, whose change is the weighted sum of the changes. With --step-loss, the
loss that the run had in its first step is the loss that PEFT has with a prompt which begins with the same text, over --rows: a
list of [prompt, completion].
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

os.environ.update({"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"})

import torch  # noqa: E402
from peft import PeftModel, PromptTuningConfig, get_peft_model  # noqa: E402
from safetensors import safe_open  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

import checks  # noqa: E402
from checks import check, finish  # noqa: E402

NEW = 24
TOLERANCE = 2e-4


def load(path: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def parts(text: str) -> tuple[str, Path, float]:
    name, rest = text.split("=", 1)
    path, _, weight = rest.rpartition(":")
    return (name, Path(path), float(weight)) if path else (name, Path(rest), 1.0)


def answers(model: torch.nn.Module, tokenizer: object, prompt: str) -> tuple[str, list[float]]:
    given = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    stops = model.generation_config.eos_token_id
    stops = stops if isinstance(stops, list) else [stops]
    ids, found = given, []
    with torch.no_grad():
        for _ in range(NEW):
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]
            token = int(logits.argmax())
            if token in stops:
                break
            found.append(float(torch.log_softmax(logits.double(), -1)[token]))
            ids = torch.cat([ids, torch.tensor([[token]])], 1)
    return tokenizer.decode(ids[0, given.shape[1]:], skip_special_tokens=True), found


def compare(args: argparse.Namespace, model: torch.nn.Module, adapters: list[str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    words = ["generate", "--model", str(args.model), "--prompts", str(args.prompts), "--template", "chat", "--max-new", str(NEW), "--json"]
    done = subprocess.run([str(args.engine), *words, *(w for a in adapters for w in ("--adapter", a))], capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        return check("the engine answers", False, done.stderr)
    ours = {g["id"]: g for g in json.loads(done.stdout)["generations"]}
    for line in args.prompts.read_text(encoding="utf-8").splitlines():
        prompt = json.loads(line)
        text, logps = answers(model, tokenizer, prompt["prompt"])
        own = ours[prompt["id"]]
        far = max((abs(a - b) for a, b in zip(logps, own["logprobs"])), default=0.0)
        same = text == own["text"] and len(logps) == len(own["logprobs"]) and far < TOLERANCE
        check(f"answer to {prompt['prompt'][:28]!r}", same, f"{text[:32]!r}, {len(logps)} tokens, log-probabilities within {far:.1e}" if same else (text, own, far))


def prompt_tuning(args: argparse.Namespace) -> None:
    tuned = PeftModel.from_pretrained(load(args.model), str(args.prompt)).eval()
    with safe_open(args.prompt / "adapter_model.safetensors", "pt") as file:
        stored = file.get_tensor("prompt_embeddings")
    check("PEFT has the prompt's embeddings, bit for bit", torch.equal(tuned.get_prompt_embedding_to_save("default"), stored), list(stored.shape))
    compare(args, tuned, [str(args.prompt)])
    if args.step_loss is None:
        return
    config = json.loads((args.prompt / "adapter_config.json").read_text())
    begun = get_peft_model(load(args.model), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=config["num_virtual_tokens"], prompt_tuning_init="TEXT", prompt_tuning_init_text=config["prompt_tuning_init_text"], tokenizer_name_or_path=str(args.model))).eval()
    tokenizer, total, count = AutoTokenizer.from_pretrained(args.model), 0.0, 0
    for prompt, completion in json.loads(args.rows.read_text()):
        talk = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        given = tokenizer.apply_chat_template(talk, return_dict=True, return_assistant_tokens_mask=True)
        ids, mask = torch.tensor([given["input_ids"]]), torch.tensor([given["assistant_masks"]])
        labels = ids.masked_fill(mask == 0, -100)
        with torch.no_grad():
            loss = begun(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
        total, count = total + float(loss) * int(mask.sum()), count + int(mask.sum())
    far = abs(total / count - args.step_loss)
    check("the first step's loss is PEFT's with the same beginning", far < 1e-4, f"{args.step_loss:.6f}, {far:.1e} apart")


def mixture(args: argparse.Namespace) -> None:
    given = [parts(text) for text in args.adapter]
    model = PeftModel.from_pretrained(load(args.model), str(given[0][1]), adapter_name=given[0][0])
    for name, path, _ in given[1:]:
        model.load_adapter(str(path), adapter_name=name)
    model.add_weighted_adapter([g[0] for g in given], [g[2] for g in given], "mixture", combination_type="cat")
    model.set_adapter("mixture")
    compare(args, model.eval(), args.adapter)


def main() -> None:
    parser = checks.parser(__doc__)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--prompt", type=Path)
    parser.add_argument("--adapter", action="append", default=[])
    parser.add_argument("--step-loss", type=float)
    parser.add_argument("--rows", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.prompt:
        prompt_tuning(args)
    if args.adapter:
        mixture(args)
    finish()


if __name__ == "__main__":
    main()
