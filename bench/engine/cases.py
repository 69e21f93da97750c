"""What is measured: shapes, token counts and rounds. The shapes are those of `step_speed.rs`."""

from dataclasses import dataclass

SHAPES = {
    "demo": dict(vocab_size=600, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6, num_key_value_heads=6),
    "tiny5m": dict(vocab_size=4096, hidden_size=256, intermediate_size=512, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=8),
    "smollm2-135m": dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3),
}


@dataclass(frozen=True)
class Case:
    name: str
    shape: str
    kind: str
    """`full` or `lora` for a training step, `generate` for greedy decoding of one text."""
    examples: int
    """Examples of a step; all of the same length, so that nobody pads."""
    tokens: int
    """Tokens of an example; of the prompt when generating."""
    rounds: int
    new: int = 0
    """New tokens when generating."""
    bf16: bool = False
    """Whether PyTorch runs in bf16 as well, as information: the engine computes in f32 only."""


CASES = [
    Case("full step, demo's shape, 16x100", "demo", "full", 16, 100, rounds=15),
    Case("full step, 5 M llama, 16x256", "tiny5m", "full", 16, 256, rounds=7),
    Case("LoRA r=16 step, SmolLM2-135M's shape, 4x256", "smollm2-135m", "lora", 4, 256, rounds=5, bf16=True),
    Case("greedy, demo's shape, prompt 32, 128 new", "demo", "generate", 1, 32, rounds=9, new=128),
    Case("greedy, SmolLM2-135M's shape, prompt 32, 64 new", "smollm2-135m", "generate", 1, 32, rounds=3, new=64, bf16=True),
]
