"""What `bench.py finetune` measures against: a tagger in PyTorch, trained as people do it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tools.benchmarks.torch_step import Shape, gathered_model
from xl_jax.tokens.special import PAD

IGNORED = -1  # a label that is not learnt
Sentence = tuple[np.ndarray, np.ndarray]  # pieces with their first and last token; tags


def tagger(shape: Shape, tags: int) -> Any:
    """A torch module (tokens [B, T], real [B, T]) -> logits [B, T, tags] on our encoder."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = gathered_model(shape)
            del self.encoder.bias  # of the pretraining's softmax
            self.out = nn.Linear(shape.width, tags)

        def forward(self, tokens: Any, real: Any) -> Any:
            e = self.encoder
            x = e.token(tokens) + e.position.weight[: tokens.shape[1]]
            x = F.dropout(e.norm(x), shape.dropout, self.training)
            for layer in e.layers:
                x = layer(x, real)
            return self.out(F.dropout(x, shape.dropout, self.training))

    torch.manual_seed(0)
    return Tagger()


def collate(sentences: Sequence[Sentence]) -> tuple[Any, Any]:
    """(tokens, labels) int64[B, T], padded to the longest of the batch."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    tokens = [torch.from_numpy(tokens.astype(np.int64)) for tokens, _ in sentences]
    labels = [torch.from_numpy(tags.astype(np.int64)) for _, tags in sentences]
    return pad_sequence(tokens, True, PAD), pad_sequence(labels, True, IGNORED)


def trainer_arm(
    shape: Shape, sentences: Sequence[Sentence], parts: Iterator[np.ndarray], tags: int, lr: float
) -> tuple[Callable[[int], float], list[tuple[int, int]]]:
    """(arm, [(real tokens, positions) of each batch]): the loop of a Trainer over the sentences of
    one part after another: shuffled batches, dynamic padding, AdamW, clipping, a schedule."""
    import torch
    from torch.utils.data import DataLoader

    model = tagger(shape, tags).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    padding: list[tuple[int, int]] = []

    def run(steps: int) -> float:
        del steps  # a part has so many batches
        part: Any = [sentences[i] for i in next(parts)]
        for tokens, labels in DataLoader(part, shape.rows, shuffle=True, collate_fn=collate):
            real = tokens != PAD
            padding.append((int(real.sum()), real.numel()))
            logits = model(tokens, real)
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return loss.item()

    return run, padding
