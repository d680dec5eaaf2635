"""The projection to the vocabulary fused with label-smoothed cross-entropy.

For a vocabulary of thousands the logits are by far the largest tensor of a training step, written and read several times by
softmax, loss and their gradients. Here they are made in chunks of rows that stay in the cache, rows of padding are left out,
and the gradients are computed in the same pass, while a chunk is warm.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.projection import Projection, scaled
from seqcli.types import real_labels


def projected_cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    label_smoothing: float = 0.0,
    *,
    real: Tensor | None = None,
) -> Tensor:
    """The summed loss of `labels (…)` given `features (…,D)` through the output layer `weight (V,D)`, `bias (V)`.

    Labels that are PAD do not count; `real` says where the others are (`Batch.real_labels`), else they are looked for. With
    smoothing ε the wanted distribution is 1-ε on the label and ε spread over all V (Szegedy et al. 2016, §7). Returns a scalar: the
    sum over labels, in nats. Differentiable once.
    """
    kept = real_labels(labels) if real is None else real
    rows = features.flatten(0, -2).index_select(0, kept)
    loss: Tensor = _FusedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        rows, weight, bias, labels.flatten().index_select(0, kept), label_smoothing
    )
    return loss


class _FusedCrossEntropy(torch.autograd.Function):
    """loss(softmax(xWᵀ+b)); the gradient is softmax minus the wanted distribution, times W, x or 1."""

    @staticmethod
    def forward(ctx, rows, weight, bias, labels, smoothing):  # type: ignore[no-untyped-def]
        vocabulary = weight.shape[0]
        wanted = tuple(ctx.needs_input_grad[:3])
        output = Projection(rows, weight, bias, wanted)
        # softmax and sums in float32 at least, whatever the model computes in
        total = rows.new_zeros((), dtype=output.precise)
        for chunk in output.chunks():
            answers = labels[chunk, None]
            logits = output.logits(chunk)
            label_logits = logits.gather(1, answers).sum()
            mean_logits = logits.sum() / vocabulary if smoothing else 0.0
            highest = logits.amax(dim=-1)
            # a row is read before it is written, so the logits may give way to the probabilities
            probs = torch.softmax(logits, dim=-1, out=logits)
            # the most likely word's probability is exp(highest - normaliser), so one exponential a logit is enough for loss and gradient
            normalizers = highest - probs.amax(dim=-1).log()
            total += normalizers.sum() - (1 - smoothing) * label_logits - smoothing * mean_logits
            if not any(wanted):
                continue
            gradient = probs
            if smoothing:
                gradient -= smoothing / vocabulary
            gradient.scatter_add_(1, answers, torch.full_like(answers, smoothing - 1, dtype=gradient.dtype))
            output.add(chunk, gradient)
        ctx.gradients = output.gradients
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):  # type: ignore[no-untyped-def]
        return (*scaled(ctx.gradients, grad_output), None, None)


def cross_entropy(log_probs: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The summed loss of `labels (N,)` under `log_probs (N,V)`, smoothed as in `projected_cross_entropy`, for a model that gives
    log-probabilities."""
    label = -log_probs.gather(1, labels[:, None]).sum()
    return (1 - label_smoothing) * label - label_smoothing * log_probs.mean(dim=-1).sum() if label_smoothing else label


def perplexity(mean_loss: float) -> float:
    """e to the mean loss in nats; infinity where that is beyond a float."""
    return math.exp(mean_loss) if mean_loss < 700 else math.inf
