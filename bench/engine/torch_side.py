"""The same work in PyTorch, transformers and PEFT, as their users write it."""

import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from cases import SHAPES, Case


def build(case: Case, dtype: torch.dtype) -> torch.nn.Module:
    config = LlamaConfig(
        **SHAPES[case.shape],
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        dtype=dtype,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config).to(dtype)


def texts(case: Case) -> torch.Tensor:
    """The engine's batch: int64 [examples, tokens]."""
    vocab = SHAPES[case.shape]["vocab_size"]
    return torch.tensor([[(e * 7919 + t * 104_729 + t * t) % vocab for t in range(case.tokens)] for e in range(case.examples)])


class Training:
    """AdamW (fused, transformers' default), clipping at 1, SDPA attention, no gradient checkpointing."""

    def __init__(self, case: Case, dtype: torch.dtype, mixed: bool = False):
        self.model = build(case, dtype)
        self.mixed = mixed
        if case.kind == "lora":
            names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
            self.model = get_peft_model(self.model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=names, task_type="CAUSAL_LM"))
        self.model.train()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-3, weight_decay=0.01, fused=True)
        self.batch = texts(case)
        self.mask = torch.ones_like(self.batch)

    def measure(self) -> dict:
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            loss = self.model(input_ids=self.batch, attention_mask=self.mask, labels=self.batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        return {"seconds": time.perf_counter() - start, "loss": loss.item()}


class Generation:
    """Greedy decoding with a key-value cache in the leanest way that transformers offers: a bare loop of forward passes."""

    def __init__(self, case: Case, dtype: torch.dtype):
        self.model = build(case, dtype).eval()
        self.case = case
        self.prompt = texts(case)

    @torch.inference_mode()
    def measure(self) -> dict:
        cache = DynamicCache(config=self.model.config)
        start = time.perf_counter()
        logits = self.model(input_ids=self.prompt, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        prefill = time.perf_counter() - start
        for _ in range(self.case.new):
            token = logits[:, -1].argmax(-1, keepdim=True)
            logits = self.model(input_ids=token, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        return {"seconds": time.perf_counter() - start - prefill, "prefill": prefill}


class Generate(Generation):
    """The same through `generate()`, as most people call it. Its time includes the prompt."""

    @torch.inference_mode()
    def measure(self) -> dict:
        n = self.case.new
        start = time.perf_counter()
        out = self.model.generate(
            input_ids=self.prompt, attention_mask=torch.ones_like(self.prompt), max_new_tokens=n, min_new_tokens=n, do_sample=False, use_cache=True
        )
        seconds = time.perf_counter() - start
        if out.shape[1] != self.prompt.shape[1] + n:
            raise RuntimeError(f"generate() made {out.shape[1]} tokens")
        return {"seconds": seconds}
