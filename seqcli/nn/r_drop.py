"""The projection to the vocabulary fused with the loss of R-Drop (Liang et al. 2021): two passes that should agree.

Two passes with different dropout give every label two distributions P and Q. R-Drop wants both to be right and to be alike:

    -log P(label) - log Q(label) + α·½(KL(P‖Q) + KL(Q‖P))                                        (eq. 4 of the paper)

As in `loss.py` the logits, here of both passes, exist a chunk of rows at a time, and the gradients are computed while it is warm.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn import loss
from seqcli.symbols import PAD


def projected_r_drop(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    label_smoothing: float = 0.0,
    *,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """The summed R-Drop loss of `labels (B,T)` given `features (2B,T,D)` of two passes, the second below the first, through the
    output layer `weight (V,D)`, `bias (V)`; and, to be reported, the mean of the two summed cross-entropies, without a gradient.

    Labels that are PAD do not count; smoothing is that of `projected_cross_entropy`. Both in nats. Differentiable once.
    """
    kept = (labels != PAD).flatten().nonzero().squeeze(1)
    rows = features.reshape(2, -1, features.shape[-1]).index_select(1, kept)
    objective, cross_entropy = _FusedPair.apply(  # type: ignore[no-untyped-call]
        rows, weight, bias, labels.flatten().index_select(0, kept), label_smoothing, alpha
    )
    return objective, cross_entropy


class _FusedPair(torch.autograd.Function):
    """R-Drop's loss of rows (2,N,D), and its gradient, summed up chunk by chunk."""

    @staticmethod
    def forward(ctx, rows, weight, bias, labels, smoothing, alpha):  # type: ignore[no-untyped-def]
        chunk = max(1, loss.CHUNK_CELLS // (2 * weight.shape[0]))
        grad_rows, grad_weight = torch.empty_like(rows), torch.zeros_like(weight)
        grad_bias = None if bias is None else torch.zeros_like(bias)
        precise = torch.promote_types(weight.dtype, torch.float32)
        objective, cross_entropy = rows.new_zeros((), dtype=precise), rows.new_zeros((), dtype=precise)
        for start in range(0, rows.shape[1], chunk):
            part = rows[:, start : start + chunk]
            log_probs = F.linear(part, weight, bias).to(precise).log_softmax(dim=-1)
            probs = log_probs.exp()
            divergence, gradient = _divergence(log_probs, probs, alpha)
            gradient += probs
            entropy = _cross_entropy(log_probs, labels[start : start + chunk], smoothing, gradient)
            objective += entropy + divergence
            cross_entropy += entropy / 2
            gradient = gradient.to(weight.dtype)
            grad_rows[:, start : start + chunk] = gradient @ weight
            grad_weight.addmm_(gradient.flatten(0, 1).T, part.flatten(0, 1))
            if grad_bias is not None:
                grad_bias += gradient.sum(dim=(0, 1))
        ctx.gradients = (grad_rows, grad_weight, grad_bias)
        ctx.mark_non_differentiable(cross_entropy)
        return objective, cross_entropy

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_objective, _):  # type: ignore[no-untyped-def]
        scaled = (
            None if gradient is None else gradient * grad_objective.to(gradient.dtype) for gradient in ctx.gradients
        )
        return (*scaled, None, None, None)


def _divergence(log_probs: Tensor, probs: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """α·½(KL(P‖Q) + KL(Q‖P)) of two `probs (2,n,V)`, summed, and its gradient by the logits, (2,n,V).

    That by P's logits is ½α·(P·(log P - log Q - KL(P‖Q) + 1) - Q), and Q's likewise.
    """
    # row 0 looks from P at Q, row 1 from Q at P
    surplus = log_probs - log_probs.flip(0)
    divergences = torch.linalg.vecdot(probs, surplus)[:, :, None]
    gradient = surplus.sub_(divergences - 1).mul_(probs).sub_(probs.flip(0)).mul_(alpha / 2)
    return alpha / 2 * divergences.sum(), gradient


def _cross_entropy(log_probs: Tensor, labels: Tensor, smoothing: float, gradient: Tensor) -> Tensor:
    """The smoothed loss of `labels (n)` under both `log_probs (2,n,V)`, summed. `gradient`, which has the probabilities already,
    becomes that by the logits: what was wanted is taken off."""
    vocabulary = log_probs.shape[-1]
    answers = labels.expand(2, -1)[:, :, None]
    entropy = -(1 - smoothing) * log_probs.gather(2, answers).sum()
    if smoothing:
        entropy -= smoothing / vocabulary * log_probs.sum()
        gradient -= smoothing / vocabulary
    gradient.scatter_add_(2, answers, torch.full_like(answers, smoothing - 1, dtype=gradient.dtype))
    return entropy
