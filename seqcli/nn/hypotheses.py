"""Hypotheses beside the sentences that they translate: what there is once a sentence, and what each hypothesis asks of it."""

from __future__ import annotations

from torch import Tensor


def by_sentence(vectors: Tensor, sentences: int) -> Tensor:
    """What R = A·K hypotheses ask, (R,T,D), as what A = `sentences` ask, (A,K·T,D), so that a memory need not be there for each hypothesis."""
    return vectors.reshape(sentences, -1, vectors.shape[-1])


def to_hypotheses(vectors: Tensor, hypotheses: int) -> Tensor:
    """What there is of A sentences, (A,…), for each of their R = `hypotheses`: (R,…)."""
    # not len: an exported graph would keep the number that it was traced with
    sentences = vectors.shape[0]
    return vectors if hypotheses == sentences else vectors.repeat_interleave(hypotheses // sentences, dim=0)
