"""Writes native/crates/model/tests/data/rope.json: rotations as transformers computes them, for every way to stretch them.

    python rope_reference.py

For each config: cosines and sines, the factor on both included, at some positions of a text that ends at the last of them.
"""

import json
import math
import os
from pathlib import Path

os.environ.update({"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"})

import torch  # noqa: E402
from transformers import LlamaConfig, Phi3Config  # noqa: E402
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding  # noqa: E402
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding  # noqa: E402

OUT = Path(__file__).parent / "../../native/crates/model/tests/data/rope.json"
SIZES = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 4}
SHORT, LONG = [1.0, 1.1, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0], [1.0, 1.5, 2.0, 4.0, 8.0, 12.0, 20.0, 30.0]
# (name, most positions, theta, rotation, the spelling of transformers 4)
LLAMA = [
    ("default", 512, 10000.0, {"rope_type": "default"}, False),
    ("linear", 512, 10000.0, {"rope_type": "linear", "factor": 4.0}, False),
    ("linear, old spelling", 512, 10000.0, {"type": "linear", "factor": 2.5}, True),
    ("dynamic", 512, 10000.0, {"rope_type": "dynamic", "factor": 4.0}, False),
    ("dynamic, old spelling", 512, 500000.0, {"type": "dynamic", "factor": 2.0}, True),
    ("llama3", 512, 500000.0, {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 128}, False),
    ("yarn", 512, 10000.0, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}, False),
    ("yarn, own ramp", 512, 10000.0, {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 256, "beta_fast": 16.0, "beta_slow": 2.0, "truncate": False}, False),
    ("yarn, own factor", 512, 10000.0, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, "attention_factor": 1.5}, False),
    ("yarn, mscale", 512, 10000.0, {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 128, "mscale": 1.0, "mscale_all_dim": 0.5}, False),
    ("yarn, one mscale", 512, 10000.0, {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 128, "mscale": 0.7}, False),
    ("yarn, short of stretching", 512, 10000.0, {"rope_type": "yarn", "factor": 1.0, "original_max_position_embeddings": 128}, False),
    ("longrope", 512, 10000.0, {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG, "original_max_position_embeddings": 256, "factor": 16.0}, False),
]
PHI3 = [
    ("longrope of phi3", 1024, 10000.0, {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG}, 256),
    ("longrope of phi3, own factor", 1024, 10000.0, {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG, "attention_factor": 1.19}, 256),
    ("longrope of phi3, not stretched", 256, 10000.0, {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG}, 256),
]
POSITIONS = [0, 1, 2, 17, 100, 255]


def rotations(made: object, config: object) -> dict:
    rotary = made(config)
    cos, sin = rotary(torch.zeros(1), torch.arange(POSITIONS[-1] + 1)[None])
    half = cos.shape[-1] // 2
    rows = lambda x: [[float(f"{v:.9g}") for v in x[0, p, :half].tolist()] for p in POSITIONS]  # noqa: E731
    assert all(math.isfinite(v) for row in rows(cos) for v in row)
    return {"cos": rows(cos), "sin": rows(sin)}


def main() -> None:
    cases = []
    for name, most, theta, rope, old in LLAMA:
        own = {"rope_theta": theta, "rope_scaling": rope} if old else {"rope_parameters": {"rope_theta": theta, **rope}}
        fields = {**SIZES, "max_position_embeddings": most, **own}
        # transformers writes into the settings that it is given.
        config = LlamaConfig(**json.loads(json.dumps(fields)))
        cases.append({"name": name, "config": {"model_type": "llama", "hidden_act": "silu", **fields}, **rotations(LlamaRotaryEmbedding, config)})
    for name, most, theta, rope, original in PHI3:
        fields = {**SIZES, "max_position_embeddings": most, "original_max_position_embeddings": original, "rope_parameters": {"rope_theta": theta, **rope}, "pad_token_id": 0}
        config = Phi3Config(**json.loads(json.dumps(fields)))
        cases.append({"name": name, "config": {"model_type": "phi3", "hidden_act": "silu", **fields}, **rotations(Phi3RotaryEmbedding, config)})
    OUT.parent.mkdir(exist_ok=True)
    lines = ",\n  ".join(json.dumps(case) for case in cases)
    OUT.write_text(f'{{"positions": {json.dumps(POSITIONS)}, "cases": [\n  {lines}\n]}}\n', encoding="utf-8")
    print(f"{len(cases)} cases in {OUT.resolve()}, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
