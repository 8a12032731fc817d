"""What tools/bench.py measures xl_jax against: the same training step in PyTorch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xl_jax.tokens.special import MASK, N_SPECIAL

Arm = Callable[[int], float]  # runs so many training steps to their end; loss of the last, in nats
LR, CLIP = 1e-4, 5.0


@dataclass(frozen=True)
class Shape:
    layers: int = 8
    width: int = 256
    heads: int = 4
    ffn: int = 1024
    vocab: int = 8192
    rows: int = 32  # of a step, all languages together
    length: int = 128  # tokens of a row
    dropout: float = 0.0  # of states and of attention weights

    @property
    def tokens(self) -> int:
        return self.rows * self.length

    def draw_tokens(self) -> np.ndarray:
        """int32[rows, length] of ordinary pieces: no padding, every prediction counts."""
        size = (self.rows, self.length)
        return np.random.default_rng(0).integers(N_SPECIAL, self.vocab, size, dtype=np.int32)

    def draw_positions(self) -> np.ndarray:
        """int64[rows, round(0.15 * length)]: sorted positions to predict, never the first."""
        number = max(1, round(0.15 * self.length))
        order = np.random.default_rng(1).random((self.rows, self.length - 1)).argsort(1)
        return np.sort(order[:, :number] + 1, axis=1)


@dataclass(frozen=True)
class Setup:
    """How a peer runs; on a GPU as people run it there."""

    device: str = "cpu"  # or cuda: TF32 products where no other type is named
    bfloat16: bool = False  # by autocast: parameters and moments stay float32
    compiled: bool = False
    accum: int = 1  # parts of a step, `Shape.rows` rows each, whose gradients add up
    attention_dropout: float | None = None  # None: the shape's dropout


def torch_arm(model: Any, loss_of: Callable[[], Any], setup: Setup) -> Arm:
    """A PyTorch training loop around `loss_of`, as people write it."""
    import torch

    torch.set_float32_matmul_precision("high" if setup.device == "cuda" else "highest")
    optimizer = torch.optim.AdamW(model.parameters(), LR, eps=1e-6, weight_decay=0.01, fused=True)
    model.train()

    def run(steps: int) -> float:
        for _ in range(steps):
            optimizer.zero_grad()
            for _ in range(setup.accum):
                with torch.autocast(setup.device, torch.bfloat16, enabled=setup.bfloat16):
                    loss = loss_of()
                (loss / setup.accum).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
        return loss.item()

    return run


def bert_config(shape: Shape, attention_dropout: float | None = None) -> Any:
    """The transformers library's name for a shape."""
    import transformers

    dropout = shape.dropout if attention_dropout is None else attention_dropout

    return transformers.BertConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.ffn,
        max_position_embeddings=shape.length,
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=dropout,
    )


def transformers_arm(shape: Shape, setup: Setup) -> Arm:
    """BertForMaskedLM as people run it: logits at every position, labels -100 where none count."""
    import torch
    import transformers

    config = bert_config(shape, setup.attention_dropout)
    model: Any = transformers.BertForMaskedLM(config)
    model.to(setup.device)
    tokens, positions = _rows(shape, setup)
    labels = torch.full_like(tokens, -100).scatter(1, positions, tokens.gather(1, positions))
    hidden, real = tokens.scatter(1, positions, MASK), torch.ones_like(tokens)
    call = torch.compile(model) if setup.compiled else model

    def loss() -> Any:
        return call(input_ids=hidden, attention_mask=real, labels=labels).loss

    return torch_arm(model, loss, setup)


def gathered_arm(shape: Shape, setup: Setup) -> Arm:
    """The equal-work peer: our architecture in plain torch, see `gathered_model`. On a GPU it is
    told that nothing is padded, so that PyTorch may take its fastest attention."""
    import torch

    model = gathered_model(shape, setup.attention_dropout).to(setup.device)
    tokens, positions = _rows(shape, setup)
    targets, hidden = tokens.gather(1, positions), tokens.scatter(1, positions, MASK)
    real = None if setup.device == "cuda" else torch.ones_like(tokens, dtype=torch.bool)
    call = torch.compile(model) if setup.compiled else model

    def loss() -> Any:
        logits = call(hidden, real, positions).float()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return torch_arm(model, loss, setup)


def _rows(shape: Shape, setup: Setup) -> tuple[Any, Any]:
    """(tokens, positions) int64 on the device."""
    import torch

    tokens, positions = shape.draw_tokens().astype(np.int64), shape.draw_positions()
    return torch.tensor(tokens).to(setup.device), torch.tensor(positions).to(setup.device)


def gathered_model(shape: Shape, attention_dropout: float | None = None) -> Any:
    """A torch module (tokens [B, T], real [B, T] or None, positions [B, P]) -> logits [B, P, V]:
    post-norm encoder, its last layer at the given positions alone, tied softmax with bias.
    """
    import torch
    from torch import nn
    from torch.nn import functional as F

    D, H, p = shape.width, shape.heads, shape.dropout
    p_attention = p if attention_dropout is None else attention_dropout

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value, self.output = (nn.Linear(D, D) for _ in range(4))
            self.up, self.down = nn.Linear(D, shape.ffn), nn.Linear(shape.ffn, D)
            self.attention_norm, self.ffn_norm = nn.LayerNorm(D, 1e-12), nn.LayerNorm(D, 1e-12)

        def forward(self, x: Any, real: Any, positions: Any = None) -> Any:
            read, B = x, len(x)
            if positions is not None:
                x = x.gather(1, positions[:, :, None].expand(-1, -1, D))
            q, k, v = (
                f(of).view(B, -1, H, D // H).transpose(1, 2)
                for f, of in ((self.query, x), (self.key, read), (self.value, read))
            )
            dropout = p_attention if self.training else 0.0
            mask = None if real is None else real[:, None, None, :]
            mixed = F.scaled_dot_product_attention(q, k, v, mask, dropout)
            mixed = self.output(mixed.transpose(1, 2).reshape(B, -1, D))
            x = self.attention_norm(x + F.dropout(mixed, p, self.training))
            return self.ffn_norm(x + F.dropout(self.down(F.gelu(self.up(x))), p, self.training))

    class MaskedLM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.position = nn.Embedding(shape.vocab, D), nn.Embedding(shape.length, D)
            for table in (self.token, self.position):
                nn.init.normal_(table.weight, std=D**-0.5)
            self.norm = nn.LayerNorm(D, 1e-12)
            self.layers = nn.ModuleList(Layer() for _ in range(shape.layers))
            self.bias = nn.Parameter(torch.zeros(shape.vocab))

        def forward(self, tokens: Any, real: Any, positions: Any) -> Any:
            x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
            x = F.dropout(self.norm(x), p, self.training)
            for layer in self.layers[:-1]:
                x = layer(x, real)
            x = self.layers[-1](x, real, positions)
            return F.linear(x, self.token.weight, self.bias)

    return MaskedLM()
