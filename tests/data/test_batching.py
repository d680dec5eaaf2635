"""The plan of batches: a partition of the rows, within its limits, a pure function, and with little padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.batching import Lengths, plan_batches, plan_padding, plan_sorted

lengths_pairs = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=0, max_size=400)


def columns(pairs: list[tuple[int, int]]) -> tuple[Lengths, Lengths]:
    table = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@settings(max_examples=150, deadline=None)
@given(
    lengths_pairs, st.integers(1, 300), st.one_of(st.none(), st.integers(1, 9)), st.integers(0, 3), st.integers(0, 3)
)
def test_every_row_once_and_within_the_limits(
    pairs: list[tuple[int, int]], tokens: int, sentences: int | None, seed: int, epoch: int
) -> None:
    source, target = columns(pairs)
    plans = [
        plan_batches(source, target, batch_tokens=tokens, batch_sentences=sentences, seed=seed, epoch=epoch),
        plan_sorted(source, target, batch_tokens=tokens, batch_sentences=sentences),
    ]
    for plan in plans:
        rows = [int(row) for batch in plan for row in batch]
        assert sorted(rows) == list(range(len(pairs)))
        for batch in plan:
            widest = max(max(pairs[row]) for row in batch)
            assert len(batch) == 1 or len(batch) * widest <= tokens
            assert sentences is None or len(batch) <= sentences


def test_a_full_batch_is_not_split() -> None:
    for tokens, width in ((4096, 32), (4100, 41), (30, 3)):
        source = np.full(tokens // width, width, dtype=np.int32)
        plan = plan_batches(source, source, batch_tokens=tokens, batch_sentences=None, seed=1, epoch=0)
        assert [len(batch) for batch in plan] == [tokens // width]


def test_the_plan_follows_from_seed_and_epoch() -> None:
    random = np.random.default_rng(0)
    source, target = (random.integers(1, 40, 3000).astype(np.int32) for _ in range(2))

    def plan(seed: int, epoch: int) -> list[list[int]]:
        batches = plan_batches(source, target, batch_tokens=512, batch_sentences=None, seed=seed, epoch=epoch)
        return [batch.tolist() for batch in batches]

    assert plan(1, 0) == plan(1, 0)
    assert len({str(plan(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_an_epoch_is_mixed() -> None:
    """Neighbouring batches have different lengths: the order of the batches tells nothing about them."""
    source = np.random.default_rng(0).integers(1, 100, 20_000).astype(np.int32)
    plan = plan_batches(source, source, batch_tokens=1024, batch_sentences=None, seed=1, epoch=0)
    widths = np.array([source[batch].mean() for batch in plan])
    assert abs(np.corrcoef(widths[:-1], widths[1:])[0, 1]) < 0.1


def test_sorted_plan_begins_with_the_longest() -> None:
    source = np.random.default_rng(0).integers(1, 100, 500).astype(np.int32)
    plan = plan_sorted(source, source, batch_tokens=500, batch_sentences=None)
    widths = [int(source[batch].max()) for batch in plan]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 99


def test_padding_by_hand() -> None:
    # (2 + 3) and (4 + 1) symbols in one batch: sources 2 × 4 cells, targets 2 × 3, 10 of 14 real; (5 + 5) alone: 10 of 10.
    source, target = columns([(2, 3), (4, 1), (5, 5)])
    assert plan_padding([np.array([0, 1]), np.array([2])], source, target) == pytest.approx(1 - 20 / 24)
    assert plan_padding([], source, target) == 0.0


@pytest.mark.parametrize(("tokens", "sentences"), [(4096, None), (4096, 128), (2048, None), (1024, None)])
def test_little_of_multi30k_is_padding(shared_data: Path, tokens: int, sentences: int | None) -> None:
    texts = [(shared_data / "multi30k" / f"train.tok.{side}").read_text(encoding="utf-8") for side in ("de", "en")]
    source, target = (
        np.array([len(line.split()) + 1 for line in text.rstrip("\n").split("\n")], dtype=np.int32) for text in texts
    )
    assert len(source) == 29_000
    for epoch in range(2):
        plan = plan_batches(source, target, batch_tokens=tokens, batch_sentences=sentences, seed=1, epoch=epoch)
        assert plan_padding(plan, source, target) < 0.03
        # Little padding is no feat with small batches: even without any, it would take five sixths of these.
        per_batch = np.maximum(np.maximum(source, target) / tokens, 1 / (sentences or tokens))
        assert len(plan) < 1.20 * per_batch.sum()
