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


def torch_arm(model: Any, loss_of: Callable[[], Any]) -> Arm:
    """A PyTorch training loop around `loss_of`, as people write it."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), LR, eps=1e-6, weight_decay=0.01, fused=True)
    model.train()

    def run(steps: int) -> float:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
        return loss.item()

    return run


def bert_config(shape: Shape) -> Any:
    """The transformers library's name for a shape."""
    import transformers

    return transformers.BertConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.ffn,
        max_position_embeddings=shape.length,
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=shape.dropout,
    )


def transformers_arm(shape: Shape, compiled: bool) -> Arm:
    """BertForMaskedLM as people run it: logits at every position, labels -100 where none count."""
    import torch
    import transformers

    model = transformers.BertForMaskedLM(bert_config(shape))
    tokens = torch.tensor(shape.draw_tokens(), dtype=torch.long)
    positions = torch.tensor(shape.draw_positions())
    labels = torch.full_like(tokens, -100).scatter(1, positions, tokens.gather(1, positions))
    hidden, real = tokens.scatter(1, positions, MASK), torch.ones_like(tokens)
    call = torch.compile(model) if compiled else model
    return torch_arm(model, lambda: call(input_ids=hidden, attention_mask=real, labels=labels).loss)


def gathered_arm(shape: Shape) -> Arm:
    """The equal-work peer: our architecture in plain torch, see `gathered_model`."""
    import torch

    model = gathered_model(shape)
    tokens = torch.tensor(shape.draw_tokens(), dtype=torch.long)
    positions = torch.tensor(shape.draw_positions())
    targets, hidden = tokens.gather(1, positions), tokens.scatter(1, positions, MASK)
    real = torch.ones_like(tokens, dtype=torch.bool)

    def loss() -> Any:
        logits = model(hidden, real, positions)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return torch_arm(model, loss)


def gathered_model(shape: Shape) -> Any:
    """A torch module (tokens [B, T], real [B, T], positions [B, P]) -> logits [B, P, V]: post-norm
    encoder, tied softmax with bias, positions gathered before the vocabulary projection."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    D, H, p = shape.width, shape.heads, shape.dropout

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value, self.output = (nn.Linear(D, D) for _ in range(4))
            self.up, self.down = nn.Linear(D, shape.ffn), nn.Linear(shape.ffn, D)
            self.attention_norm, self.ffn_norm = nn.LayerNorm(D, 1e-12), nn.LayerNorm(D, 1e-12)

        def forward(self, x: Any, real: Any) -> Any:
            B, T, _ = x.shape
            q, k, v = (
                f(x).view(B, T, H, D // H).transpose(1, 2)
                for f in (self.query, self.key, self.value)
            )
            dropout = p if self.training else 0.0
            mixed = F.scaled_dot_product_attention(q, k, v, real[:, None, None, :], dropout)
            mixed = self.output(mixed.transpose(1, 2).reshape(B, T, D))
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
            for layer in self.layers:
                x = layer(x, real)
            x = x.gather(1, positions[:, :, None].expand(-1, -1, D))
            return F.linear(x, self.token.weight, self.bias)

    return MaskedLM()
