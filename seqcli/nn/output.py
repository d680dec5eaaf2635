"""The last layer of a model: what it makes of the decoder's features, and the losses that are fused with it."""

from __future__ import annotations

from torch import Tensor, nn

from seqcli.nn.loss import cross_entropy, projected_cross_entropy
from seqcli.nn.r_drop import projected_r_drop, r_drop


class OutputLayer(nn.Linear):
    """The raw score of every symbol, W·features + b; its losses never hold all of them at once."""

    def cross_entropy(self, features: Tensor, labels: Tensor, label_smoothing: float, real: Tensor) -> Tensor:
        """The summed loss of `labels (B,T)` given `features (B,T,D)`, see `projected_cross_entropy`."""
        return projected_cross_entropy(features, self.weight, self.bias, labels, label_smoothing, real=real)

    def r_drop(
        self, features: Tensor, labels: Tensor, label_smoothing: float, alpha: float, real: Tensor
    ) -> tuple[Tensor, Tensor]:
        """R-Drop's loss given the features (2B,T,D) of two passes, and the cross-entropy, see `projected_r_drop`."""
        return projected_r_drop(features, self.weight, self.bias, labels, label_smoothing, alpha=alpha, real=real)


class NamedAlready(nn.Module):
    """The last layer of a model whose decoder mixes distributions over the `vocabulary` itself, so that its features are their
    log-probabilities (B,T,V)."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.in_features = self.out_features = vocabulary

    def forward(self, log_probs: Tensor) -> Tensor:
        """The same."""
        return log_probs

    def cross_entropy(self, features: Tensor, labels: Tensor, label_smoothing: float, real: Tensor) -> Tensor:
        """The summed loss of `labels (B,T)` given log-probabilities (B,T,V), as `OutputLayer` has it."""
        return cross_entropy(*_real(features, labels, real), label_smoothing)

    def r_drop(
        self, features: Tensor, labels: Tensor, label_smoothing: float, alpha: float, real: Tensor
    ) -> tuple[Tensor, Tensor]:
        """R-Drop's loss given the log-probabilities (2B,T,V) of two passes, and the cross-entropy, as `OutputLayer` has it."""
        first, second = (_real(each, labels, real)[0] for each in features.chunk(2))
        return r_drop(first, second, labels.flatten().index_select(0, real), label_smoothing, alpha)


def _real(log_probs: Tensor, labels: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of labels that are not padding: (N,V) and (N,)."""
    return log_probs.flatten(0, 1).index_select(0, real), labels.flatten().index_select(0, real)
