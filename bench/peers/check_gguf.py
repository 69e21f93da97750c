"""GGUF files written by Tillage, read by the package `gguf` and by a real llama.cpp (`llama-cpp-python`).

    python check_gguf.py --engine tillage-native --model DIR [--adapter DIR] --scratch DIR

`peers.mjs` calls this for every family. Checked, with the real programs on one side and the engine on the other:
  * `gguf` reads header, metadata and tensors; its own quantisation of the f32 file's tensors gives the q8_0 and q4_0 files' bytes;
  * llama.cpp loads the file, gives the engine's ids for plain texts and for the chat template's control tokens, and renders a
    conversation as the engine does;
  * with f32: the log-probability of every token of several texts, and greedy continuations, are the engine's;
  * with f16, bf16, q8_0 and q4_0: how far the mean log-probability is away.
Prints one line a check; the exit code is 1 when one failed.
"""

import argparse
import json
import subprocess
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGUFReader, GGMLQuantizationType, quants
from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

import checks
from checks import check, exported, finish

TEXTS = [
    *checks.TEXTS,
    "I'll they've 3,141.59 and DON'T stop; it's 12 o'clock.",
    "Once upon a time, there was a little girl who saw a red ball.",
]


def engine(args: argparse.Namespace, *words: str) -> str:
    extra = ["--adapter", str(args.adapter)] if args.adapter and words[0] in ("generate", "score", "export") else []
    done = subprocess.run([str(args.engine), *words, *extra, "--model", str(args.model), "--json"], capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


def ids_of(args: argparse.Namespace, text: str, end: bool = False) -> list[int]:
    row = args.scratch / "row.json"
    row.write_text(json.dumps({"text": text}), encoding="utf-8")
    ids = [t["id"] for t in json.loads(engine(args, "tokens", "--row", str(row)))["tokens"]]
    return ids if end else ids[:-1]


def export(args: argparse.Namespace, kind: str) -> Path:
    out = args.scratch / f"{kind}.gguf"
    for old in (out, out.with_suffix(".Modelfile")):
        old.unlink(missing_ok=True)
    result = json.loads(engine(args, "export", "--to", "gguf", "--quantize", kind, "--out", str(out)))
    if kind == "f32":
        for note in result["notes"]:
            print(f"       note: {note}")
    return out


def compare_blocks(files: dict[str, Path]) -> None:
    """The same bytes as the reference implementation makes of the same numbers."""
    tensors = {kind: {t.name: t for t in GGUFReader(path).tensors} for kind, path in files.items()}
    plain = tensors["f32"]
    for kind in ("f16", "bf16", "q8_0", "q4_0"):
        wrong, counted = [], {}
        for name, tensor in tensors[kind].items():
            numbers = plain[name].data.astype(np.float32)
            counted[tensor.tensor_type.name] = counted.get(tensor.tensor_type.name, 0) + 1
            if tensor.tensor_type == GGMLQuantizationType.F16:
                expected = numbers.astype(np.float16)
            elif tensor.tensor_type == GGMLQuantizationType.F32:
                expected = numbers
            else:
                expected = quants.quantize(numbers, tensor.tensor_type)
            if expected.tobytes() != tensor.data.tobytes():
                wrong.append(name)
        check(f"{kind}: the bytes are those of gguf's own quantisation", not wrong, wrong or counted)


def logprobs(model: Llama, ids: list[int]) -> np.ndarray:
    model.reset()
    model.eval(ids)
    rows = model.scores[: len(ids) - 1].astype(np.float64)
    rows -= rows.max(-1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(-1, keepdims=True))
    return rows[np.arange(len(ids) - 1), ids[1:]]


def greedy(model: Llama, ids: list[int], new: int, stops: set[int]) -> list[int]:
    model.reset()
    model.eval(ids)
    out: list[int] = []
    for _ in range(new):
        out.append(int(model.scores[model.n_tokens - 1].argmax()))
        if out[-1] in stops:
            return out[:-1]
        model.eval(out[-1:])
    return out


def main() -> None:
    parser = exported(__doc__)
    parser.add_argument("--ready", type=Path, help="a folder with the model's files, which are not written again")
    parser.add_argument("--close", type=float, default=1e-4, help="largest difference of a token's log-probability in f32")
    args = parser.parse_args()
    args.scratch.mkdir(parents=True, exist_ok=True)
    files = {kind: args.ready / f"{kind}.gguf" if args.ready else export(args, kind) for kind in ("f32", "f16", "bf16", "q8_0", "q4_0")}
    compare_blocks(files)

    context = int(next(f.parts[f.data[0]][0] for n, f in GGUFReader(files["f32"]).fields.items() if n.endswith(".context_length")))
    texts = [ids_of(args, text, end=True)[:context] for text in TEXTS]
    # The cache of keys and values in f32 too: llama.cpp's default is f16.
    load = lambda kind: Llama(str(files[kind]), n_ctx=min(context, 512), n_threads=1, n_batch=512, logits_all=True, verbose=False, flash_attn=False, type_k=0, type_v=0)  # noqa: E731
    model = load("f32")
    for text in TEXTS:
        theirs = model.tokenize(text.encode(), add_bos=True, special=True)
        ours = ids_of(args, text)
        check(f"ids of {text[:24]!r}", theirs == ours, "" if theirs == ours else (theirs, ours))

    rows = args.scratch / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    scores = args.scratch / "scores.jsonl"
    engine(args, "score", "--rows", str(rows), "--out", str(scores), "--context", str(context))
    ours = [json.loads(line) for line in scores.read_text().splitlines()]
    found = [logprobs(model, ids) for ids in texts]
    far = [abs(-f.mean() - o["loss"]) for f, o in zip(found, ours)]
    check("f32: mean losses are the engine's", max(far) < args.close, f"largest difference {max(far):.1e}")

    words = [w for w in ("The", "Once upon a", "In 1874") if len(ids_of(args, w)) < context // 2]
    prompts = args.scratch / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"id": w, "prompt": w}) + "\n" for w in words), encoding="utf-8")
    new = min(60, context - max(len(ids_of(args, w)) for w in words) - 1)
    answers = {g["id"]: g for g in json.loads(engine(args, "generate", "--prompts", str(prompts), "--max-new", str(new)))["generations"]}
    stops = {model.token_eos(), llama_cpp.llama_vocab_eot(model._model.vocab)}
    for word in words:
        out = greedy(model, ids_of(args, word), new, stops)
        text = model.detokenize(out).decode("utf-8", "replace")
        same = text.strip() == answers[word]["text"].strip()
        check(f"f32: greedy text behind {word!r}, {len(out)} tokens", same, repr(text[:50]) if same else (text, answers[word]["text"]))

    template = model.metadata.get("tokenizer.chat_template")
    if template:
        messages = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"}, {"role": "user", "content": "Two?"}]
        piece = lambda i: model._model.token_get_text(i) if i >= 0 else ""  # noqa: E731
        rendered = Jinja2ChatFormatter(template=template, eos_token=piece(model.token_eos()), bos_token=piece(model.token_bos()))(messages=messages).prompt
        row = args.scratch / "row.json"
        row.write_text(json.dumps({"messages": messages}), encoding="utf-8")
        whole = json.loads(engine(args, "tokens", "--row", str(row), "--template", "chat"))
        check("the chat template in the file begins as the engine's", rendered.startswith(whole["text"]), repr(rendered[len(whole["text"]):]))
        ids = model.tokenize(whole["text"].encode(), add_bos=False, special=True)
        check("ids of a conversation", ids == [t["id"] for t in whole["tokens"]])

    for kind, limit in (("f16", 0.02), ("bf16", 0.1), ("q8_0", 0.1), ("q4_0", 2.0)):
        model = load(kind)
        far = [abs(-logprobs(model, ids).mean() - o["loss"]) for ids, o in zip(texts, ours)]
        check(f"{kind}: mean losses are near the engine's", max(far) < limit, f"largest difference {max(far):.1e}")
    finish()


if __name__ == "__main__":
    main()
