"""The projection to the vocabulary fused with label-smoothed cross-entropy.

For a vocabulary of thousands the logits are by far the largest tensor of a training step, written and read several times by
softmax, loss and their gradients. Here they are made in chunks of rows that stay in the cache, rows of padding are left out,
and the gradients are computed in the same pass, while a chunk is warm.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.symbols import PAD

CHUNK_CELLS = 2**21
"""How many logits a chunk may have: 8 MB in float32, which a shared cache holds and which still makes products large enough to be
fast."""


def projected_cross_entropy(
    features: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """The summed loss of `labels (…)` given `features (…,D)` through the output layer `weight (V,D)`, `bias (V)`.

    Labels that are PAD do not count. With smoothing ε the wanted distribution is 1-ε on the label and ε spread over all V
    (Szegedy et al. 2016, §7). Returns a scalar: the sum over labels, in nats. Differentiable once.
    """
    kept = (labels != PAD).flatten().nonzero().squeeze(1)
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
        chunk = max(1, CHUNK_CELLS // vocabulary)
        wanted = [
            needed and torch.is_tensor(x) for needed, x in zip(ctx.needs_input_grad, (rows, weight, bias), strict=False)
        ]
        grad_rows = torch.empty_like(rows) if wanted[0] else None
        grad_weight = torch.zeros_like(weight) if wanted[1] else None
        grad_bias = torch.zeros_like(bias) if wanted[2] else None
        # softmax and sums in float32 at least, whatever the model computes in
        precise = torch.promote_types(weight.dtype, torch.float32)
        total = rows.new_zeros((), dtype=precise)
        for start in range(0, len(rows), chunk):
            part, answers = rows[start : start + chunk], labels[start : start + chunk, None]
            logits = F.linear(part, weight, bias).to(precise)
            label_logits = logits.gather(1, answers).sum()
            mean_logits = logits.sum() / vocabulary if smoothing else 0.0
            highest = logits.amax(dim=-1)
            probs = logits.softmax(dim=-1)
            # the most likely word's probability is exp(highest - normaliser), so one exponential a logit is enough for loss and gradient
            normalizers = highest - probs.amax(dim=-1).log()
            total += normalizers.sum() - (1 - smoothing) * label_logits - smoothing * mean_logits
            if not any(wanted):
                continue
            gradient = probs
            if smoothing:
                gradient -= smoothing / vocabulary
            gradient.scatter_add_(1, answers, torch.full_like(answers, smoothing - 1, dtype=gradient.dtype))
            gradient = gradient.to(weight.dtype)
            if grad_rows is not None:
                torch.mm(gradient, weight, out=grad_rows[start : start + chunk])
            if grad_weight is not None:
                grad_weight.addmm_(gradient.T, part)
            if grad_bias is not None:
                grad_bias += gradient.sum(dim=0)
        ctx.gradients = (grad_rows, grad_weight, grad_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):  # type: ignore[no-untyped-def]
        scaled = (None if gradient is None else gradient * grad_output.to(gradient.dtype) for gradient in ctx.gradients)
        return (*scaled, None, None)


def perplexity(mean_loss: float) -> float:
    """e to the mean loss in nats; infinity where that is beyond a float."""
    return math.exp(mean_loss) if mean_loss < 700 else math.inf
