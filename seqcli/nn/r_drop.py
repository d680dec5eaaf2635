"""The projection to the vocabulary fused with the loss of R-Drop (Liang et al. 2021): two passes that should agree.

Two passes with different dropout give every label two distributions P and Q. R-Drop wants both to be right and to be alike:

    -log P(label) - log Q(label) + α·½(KL(P‖Q) + KL(Q‖P))                                        (eq. 4 of the paper)

As in `loss.py` the logits, here of both passes, exist a chunk of rows at a time, and the gradients are computed while it is warm.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.loss import cross_entropy
from seqcli.nn.projection import Projection, scaled
from seqcli.types import real_labels


def projected_r_drop(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    label_smoothing: float = 0.0,
    *,
    alpha: float,
    real: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The summed R-Drop loss of `labels (B,T)` given `features (2B,T,D)` of two passes, the second below the first, through the
    output layer `weight (V,D)`, `bias (V)`; and, to be reported, the mean of the two summed cross-entropies, without a gradient.

    Padding (`real` says where the other labels are) and smoothing are as in `projected_cross_entropy`. Both in nats. Differentiable once.
    """
    kept = real_labels(labels) if real is None else real
    # the two passes of a label side by side, so that a chunk of rows has both
    pairs = features.reshape(2, -1, features.shape[-1]).transpose(0, 1).index_select(0, kept)
    objective, cross_entropy = _FusedPair.apply(  # type: ignore[no-untyped-call]
        pairs.flatten(0, 1), weight, bias, labels.flatten().index_select(0, kept), label_smoothing, alpha
    )
    return objective, cross_entropy


def r_drop(
    first: Tensor, second: Tensor, labels: Tensor, label_smoothing: float, alpha: float
) -> tuple[Tensor, Tensor]:
    """R-Drop's summed loss of `labels (N,)` under the log-probabilities (N,V) of two passes, for a model that gives these; and, to be
    reported, the mean of the two summed cross-entropies, without a gradient."""
    entropies = cross_entropy(first, labels, label_smoothing) + cross_entropy(second, labels, label_smoothing)
    divergences = ((first.exp() - second.exp()) * (first - second)).sum()
    return entropies + alpha / 2 * divergences, entropies.detach() / 2


class _FusedPair(torch.autograd.Function):
    """R-Drop's loss of rows (2N,D), two for each of `labels (N)`, and its gradient, summed up chunk by chunk."""

    @staticmethod
    def forward(ctx, rows, weight, bias, labels, smoothing, alpha):  # type: ignore[no-untyped-def]
        output = Projection(rows, weight, bias, tuple(ctx.needs_input_grad[:3]))
        objective, cross_entropy = (rows.new_zeros((), dtype=output.precise) for _ in range(2))
        for chunk in output.chunks(rows_together=2):
            log_probs = output.logits(chunk).log_softmax(dim=-1).view(-1, 2, weight.shape[0])
            probs = log_probs.exp()
            divergence, gradient = _divergence(log_probs, probs, alpha)
            gradient += probs
            answers = labels[chunk.start // 2 : chunk.stop // 2]
            entropy = _cross_entropy(log_probs, answers, smoothing, gradient)
            objective += entropy + divergence
            cross_entropy += entropy / 2
            output.add(chunk, gradient.flatten(0, 1))
        ctx.gradients = output.gradients
        ctx.mark_non_differentiable(cross_entropy)
        return objective, cross_entropy

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_objective, _):  # type: ignore[no-untyped-def]
        return (*scaled(ctx.gradients, grad_objective), None, None, None)


def _divergence(log_probs: Tensor, probs: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """α·½(KL(P‖Q) + KL(Q‖P)) of pairs of `probs (n,2,V)`, summed, and its gradient by the logits, (n,2,V).

    That by P's logits is ½α·(P·(log P - log Q - KL(P‖Q) + 1) - Q), and Q's likewise.
    """
    # of each pair one looks from P at Q, the other from Q at P
    surplus = log_probs - log_probs.flip(1)
    # autocast would sum in 16 bits
    with torch.autocast(probs.device.type, enabled=False):
        divergences = torch.linalg.vecdot(probs, surplus)[:, :, None]
    gradient = surplus.sub_(divergences - 1).mul_(probs).sub_(probs.flip(1)).mul_(alpha / 2)
    return alpha / 2 * divergences.sum(), gradient


def _cross_entropy(log_probs: Tensor, labels: Tensor, smoothing: float, gradient: Tensor) -> Tensor:
    """The smoothed loss of `labels (n)` under the pairs of `log_probs (n,2,V)`, summed. `gradient`, which has the probabilities
    already, becomes that by the logits: what was wanted is taken off."""
    vocabulary = log_probs.shape[-1]
    answers = labels[:, None, None].expand(-1, 2, -1)
    entropy = -(1 - smoothing) * log_probs.gather(2, answers).sum()
    if smoothing:
        entropy -= smoothing / vocabulary * log_probs.sum()
        gradient -= smoothing / vocabulary
    gradient.scatter_add_(2, answers, torch.full_like(answers, smoothing - 1, dtype=gradient.dtype))
    return entropy
