"""Sampling: what is drawn follows the distribution it is drawn from, and depends on nothing but seed, source and number."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from search.table import Table, random_table

from seqcli.search.beam import beam_search
from seqcli.search.demands import Demands
from seqcli.search.sampling import Dice, Sampling, as_keys, gumbel
from seqcli.symbols import BOS, EOS, PAD

VOCABULARY = 12
DRAWS = 20_000
SCORES = 1.5 * torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(2))


def allowed(sampling: Sampling) -> NDArray[np.float64]:
    """The distribution that is to be drawn from, symbol by symbol, in another way."""
    scores = SCORES.double().numpy() / sampling.temperature
    shares = np.exp(scores) / np.exp(scores).sum()
    order = sorted(range(VOCABULARY), key=lambda symbol: -shares[symbol])[: sampling.top_k]
    shares = np.array([share if symbol in order else 0.0 for symbol, share in enumerate(shares)])
    shares /= shares.sum()
    kept, reached = [], 0.0
    for symbol in order:
        if reached >= sampling.top_p:
            break
        kept.append(symbol)
        reached += shares[symbol]
    shares = np.array([share if symbol in kept else 0.0 for symbol, share in enumerate(shares)])
    shares[shares < sampling.min_p * shares.max()] = 0.0
    return shares / shares.sum()


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.5),
        Sampling(temperature=2.0, top_k=5),
        Sampling(top_p=0.8),
        Sampling(min_p=0.2),
        Sampling(1.3, 8, 0.9, 0.05),
    ],
    ids=["plain", "cold", "hot top-k", "top-p", "min-p", "all"],
)
def test_draws_follow_the_distribution(sampling: Sampling) -> None:
    keys = as_keys([Dice(1, (number,), 1).keys(3)[0] for number in range(DRAWS)], torch.device("cpu"))
    drawn = sampling.draw(SCORES.expand(DRAWS, -1), keys).flatten()
    counts = np.bincount(drawn.numpy(), minlength=VOCABULARY)
    expected = DRAWS * allowed(sampling)
    assert not counts[expected == 0].any()
    likely = expected > 0
    statistic = float(((counts - expected)[likely] ** 2 / expected[likely]).sum())
    freedom = int(likely.sum()) - 1
    # seven standard deviations above the mean of chi-square
    assert statistic < freedom + 7 * math.sqrt(2 * freedom)


def test_noise_is_gumbels_and_no_two_rows_share_it() -> None:
    keys = as_keys(Dice(7, (1, 2, 3), 300).keys(1), torch.device("cpu"))
    noise = gumbel(keys[:, None], torch.arange(500)).double()
    # mean Euler's constant, variance pi²/6
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, rel=0.02)
    assert noise.isfinite().all()
    for columns in (noise, noise.T):
        related = torch.corrcoef(columns[:100])
        assert (related - torch.eye(100)).abs().max() < 0.35


def drawn(
    samples: int, seed: int = 1, *, own: int | None = None, sentences: tuple[int, ...] = (0,)
) -> list[Counter[tuple[int, ...]]]:
    table = random_table(5, 9)
    walk = Table(lambda row, prefix: table(sentences[row], prefix))
    demands = [Demands(source=(sentence, 4, EOS), seed=own) for sentence in sentences]
    found = beam_search(
        walk.step, walk.start(len(sentences)), [9] * len(sentences),
        beam_size=samples, sampling=Sampling(seed=seed), demands=demands,
    )  # fmt: skip
    return [
        Counter(tuple(ids[:length]) for ids, length in zip(rows, lengths, strict=True))
        for rows, lengths in zip(found.ids.tolist(), found.lengths.tolist(), strict=True)
    ]


def test_more_samples_are_the_same_and_others() -> None:
    (few,), (many,) = drawn(5), drawn(40)
    assert sum(few.values()) == 5
    assert sum(many.values()) == 40
    assert few <= many
    assert len(many) > 10


def test_the_seed_decides_and_a_sentences_own_seed_comes_first() -> None:
    assert drawn(20) == drawn(20)
    assert drawn(20) != drawn(20, seed=2)
    assert drawn(20, own=2) == drawn(20, seed=2)


def test_a_sentence_draws_the_same_wherever_it_stands() -> None:
    several = drawn(10, sentences=(3, 1, 2, 1))
    assert several[1] == several[3] == drawn(10, sentences=(1,))[0]
    assert several[0] == drawn(10, sentences=(3,))[0]


def test_scores_are_the_models_own_however_hot_it_is() -> None:
    table, walk = random_table(8, 7), Table(random_table(8, 7))
    found = beam_search(walk.step, walk.start(1), [6], beam_size=30, sampling=Sampling(temperature=3.0, top_k=4))
    assert (found.lengths > 0).all()
    for ids, length, score, log_prob in zip(
        found.ids[0].tolist(),
        found.lengths[0].tolist(),
        found.scores[0].tolist(),
        found.log_probs[0].tolist(),
        strict=True,
    ):
        own = sum(table(0, tuple(ids[:place]))[ids[place]] for place in range(length))
        assert log_prob == pytest.approx(own, abs=1e-5)
        assert score == pytest.approx(own / length, abs=1e-5)
        assert ids[length - 1] == EOS or length == 6
        assert not {PAD, BOS} & set(ids[:length])


def test_almost_no_temperature_is_greedy() -> None:
    walk, greedy = Table(random_table(4, 9)), Table(random_table(4, 9))
    cold = beam_search(walk.step, walk.start(3), [9] * 3, sampling=Sampling(temperature=1e-4))
    best = beam_search(greedy.step, greedy.start(3), [9] * 3)
    assert torch.equal(cold.ids, best.ids)
