"""Beam search against all that can be written, on random tables over small vocabularies."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search.table import Next, Prefix, Table, random_table

from seqcli.search.beam import beam_search
from seqcli.symbols import BOS, EOS, PAD
from seqcli.types import Hypotheses

seeds = st.integers(0, 2**31 - 1)
powers = st.sampled_from([0.0, 0.6, 1.0, 2.0])


def total(table: Next, sentence: int, ids: Prefix) -> float:
    return sum(table(sentence, ids[:place])[symbol] for place, symbol in enumerate(ids))


def everything(vocabulary: int, longest: int) -> list[Prefix]:
    """All hypotheses: those that end in time, and those of the longest length that do not end."""
    letters = [symbol for symbol in range(vocabulary) if symbol not in (PAD, BOS, EOS)]
    ended = [(*body, EOS) for length in range(longest) for body in product(letters, repeat=length)]
    return ended + list(product(letters, repeat=longest))


def listed(found: Hypotheses, row: int) -> list[tuple[Prefix, float, float]]:
    return [
        (tuple(ids[:length]), score, log_prob)
        for ids, length, score, log_prob in zip(
            found.ids[row].tolist(),
            found.lengths[row].tolist(),
            found.scores[row].tolist(),
            found.log_probs[row].tolist(),
            strict=True,
        )
    ]


@settings(max_examples=25, deadline=None)
@given(seed=seeds, vocabulary=st.integers(4, 6), longest=st.integers(1, 4), power=powers)
def test_a_beam_that_holds_everything_finds_everything_in_order(
    seed: int, vocabulary: int, longest: int, power: float
) -> None:
    table, hypotheses = random_table(seed, vocabulary), everything(vocabulary, longest)
    ranked = sorted(((total(table, 0, ids) / len(ids) ** power, ids) for ids in hypotheses), reverse=True)
    walk = Table(table)
    found = beam_search(walk.step, walk.start(1), [longest], beam_size=len(hypotheses) + 1, length_penalty=power)
    *real, filler = listed(found, 0)
    assert [ids for ids, *_ in real] == [ids for _, ids in ranked]
    assert [score for _, score, _ in real] == pytest.approx([score for score, _ in ranked], abs=1e-5)
    assert filler == ((), -math.inf, -math.inf)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, beam_size=st.integers(1, 6), power=powers)
def test_what_is_reported_is_what_the_table_says(seed: int, beam_size: int, power: float) -> None:
    table, walk = random_table(seed, 7), Table(random_table(seed, 7))
    found = beam_search(walk.step, walk.start(2), [5, 3], beam_size=beam_size, length_penalty=power)
    for sentence, longest in enumerate([5, 3]):
        rows = listed(found, sentence)
        assert len({ids for ids, *_ in rows}) == beam_size
        assert [score for _, score, _ in rows] == sorted((score for _, score, _ in rows), reverse=True)
        for ids, score, log_prob in rows:
            assert 0 < len(ids) <= longest
            assert ids[-1] == EOS or len(ids) == longest
            assert not {PAD, BOS} & set(ids)
            assert EOS not in ids[:-1]
            assert log_prob == pytest.approx(total(table, sentence, ids), abs=1e-5)
            assert score == pytest.approx(log_prob / len(ids) ** power, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, longest=st.integers(1, 8))
def test_a_beam_of_one_is_an_argmax_loop(seed: int, longest: int) -> None:
    table, walk = random_table(seed, 6), Table(random_table(seed, 6))
    found = beam_search(walk.step, walk.start(1), [longest])
    ids: Prefix = ()
    while len(ids) < longest and EOS not in ids:
        row = torch.tensor(table(0, ids))
        row[[PAD, BOS]] = -math.inf
        ids = (*ids, int(row.argmax()))
    assert listed(found, 0)[0][0] == ids


@settings(max_examples=25, deadline=None)
@given(seed=seeds, beam_size=st.integers(1, 5), limits=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_batch_mates_change_nothing(seed: int, beam_size: int, limits: list[int]) -> None:
    together = Table(random_table(seed, 6))
    found = beam_search(together.step, together.start(len(limits)), limits, beam_size=beam_size)
    for sentence, longest in enumerate(limits):
        alone = Table(lambda _, prefix, sentence=sentence: random_table(seed, 6)(sentence, prefix))
        one = beam_search(alone.step, alone.start(1), [longest], beam_size=beam_size)
        assert listed(one, 0) == listed(found, sentence)
