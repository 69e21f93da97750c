"""What is measured: shapes, token counts and rounds. The shapes are those of `native/crates/bench/src/shape.rs`."""

from dataclasses import dataclass

SHAPES = {
    "demo": dict(vocab_size=600, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6, num_key_value_heads=6),
    "tiny5m": dict(vocab_size=4096, hidden_size=256, intermediate_size=512, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=8),
    "qwen2.5-0.5b": dict(vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2),
    "smollm2-135m": dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3),
}


@dataclass(frozen=True)
class Case:
    name: str
    shape: str
    kind: str
    """`full` or `lora` for a training step, `generate` for greedy decoding of all examples together."""
    examples: int
    """Examples of a step; all of the same length, so that nobody pads."""
    tokens: int
    """Tokens of an example; of the prompt when generating."""
    rounds: int
    new: int = 0
    """New tokens when generating."""
    bf16: bool = False
    """Whether PyTorch runs in bf16 as well."""
    dtype: str = "f32"
    """How the engine holds its frozen weights: f32, bf16, int8 or nf4; of a full step, bf16 is mixed precision."""


CASES = [
    Case("full step, demo's shape, 16x100", "demo", "full", 16, 100, rounds=15),
    Case("full step, 5 M llama, 16x256", "tiny5m", "full", 16, 256, rounds=7),
    Case("LoRA r=16 step, SmolLM2-135M's shape, 4x256", "smollm2-135m", "lora", 4, 256, rounds=5, bf16=True),
    Case("greedy, demo's shape, prompt 32, 128 new", "demo", "generate", 1, 32, rounds=9, new=128),
    Case("greedy, SmolLM2-135M's shape, prompt 32, 64 new", "smollm2-135m", "generate", 1, 32, rounds=3, new=64, bf16=True),
    Case("bf16: full step, 5 M llama, 16x256", "tiny5m", "full", 16, 256, rounds=7, bf16=True, dtype="bf16"),
    Case("bf16: LoRA r=16 step, SmolLM2-135M's shape, 4x256", "smollm2-135m", "lora", 4, 256, rounds=5, bf16=True, dtype="bf16"),
    Case("nf4: LoRA r=16 step, SmolLM2-135M's shape, 4x256", "smollm2-135m", "lora", 4, 256, rounds=3, bf16=True, dtype="nf4"),
    Case("bf16: greedy, SmolLM2-135M's shape, prompt 32, 64 new", "smollm2-135m", "generate", 1, 32, rounds=5, new=64, bf16=True, dtype="bf16"),
    Case("int8: greedy, SmolLM2-135M's shape, prompt 32, 64 new", "smollm2-135m", "generate", 1, 32, rounds=3, new=64, bf16=True, dtype="int8"),
    Case("bf16: greedy, SmolLM2-135M's shape, batch 8, prompt 32, 64 new", "smollm2-135m", "generate", 8, 32, rounds=3, new=64, bf16=True, dtype="bf16"),
    Case("bf16: LoRA r=16 step, Qwen2.5-0.5B's shape, 1x256", "qwen2.5-0.5b", "lora", 1, 256, rounds=3, bf16=True, dtype="bf16"),
    Case("bf16: greedy, Qwen2.5-0.5B's shape, prompt 32, 32 new", "qwen2.5-0.5b", "generate", 1, 32, rounds=3, new=32, bf16=True, dtype="bf16"),
]
