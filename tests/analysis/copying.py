"""Small models and strings of one length to be copied: what gradients are measured on."""

from __future__ import annotations

import itertools
import string

import torch

from seqcli.analysis.flow import GradientFlow
from seqcli.analysis.gradients import measure_gradients
from seqcli.build.model import build_model
from seqcli.data.builtin import read_algorithmic
from seqcli.data.encoded import make_batch
from seqcli.models.seq2seq import Seq2Seq
from seqcli.recipe.model import Model
from seqcli.symbols import EOS, SPECIAL
from seqcli.types import Batch

ALPHABET = 10
VOCABULARY = len(SPECIAL) + ALPHABET
UNIFORM = {"weights": "uniform", "recurrent": "uniform", "embeddings": "uniform", "scale": 0.08}
"""What weights start from in Sutskever et al. 2014, §3.4."""


def copy_batch(length: int, rows: int = 8) -> Batch:
    """Strings of so many letters, and the same strings."""
    corpus = read_algorithmic("copy", "validation", alphabet=ALPHABET, shortest=length, longest=length)
    texts = [example.source for example in itertools.islice(corpus.read(), rows)]
    ids = [[*(len(SPECIAL) + string.ascii_lowercase.index(letter) for letter in text), EOS] for text in texts]
    return make_batch(ids, ids, range(rows))


def recurrent(
    kind: str,
    *,
    width: int = 48,
    seed: int = 1,
    attention: str = "none",
    initialization: dict[str, object] | None = None,
    **decoder: object,
) -> Seq2Seq:
    """An encoder and a decoder of one cell, the states handed over as they are."""
    sizes = {"kind": kind, "hidden_size": width, "embedding_size": 16}
    return built(
        sizes,
        {"bridge": "copy", "attention": {"kind": attention}, **sizes, **decoder},
        seed=seed,
        initialization=initialization,
    )


def built(
    encoder: dict[str, object],
    decoder: dict[str, object],
    *,
    seed: int = 1,
    initialization: dict[str, object] | None = None,
) -> Seq2Seq:
    """A new model, with dropout, which is not to be seen in what is measured."""
    section = Model.model_validate(
        {"encoder": encoder, "decoder": decoder, "initialization": initialization or {}, "dropout": 0.3}
    )
    torch.manual_seed(seed)
    return build_model(section, VOCABULARY, VOCABULARY)


def flow_of(model: Seq2Seq, length: int, *, jacobians: bool = False) -> GradientFlow:
    """The gradient flow of a model on strings of so many letters."""
    return measure_gradients(model, copy_batch(length), step=0, jacobians=jacobians)


def slopes(flow: GradientFlow) -> dict[str, float]:
    """Side → the power of 2 that the gradient is multiplied by from a step to the one before."""
    return {chain.side: chain.fade.slope for chain in flow.mains}
