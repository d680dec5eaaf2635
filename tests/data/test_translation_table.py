"""The table ≡ Model 1 written out with dictionaries, and finds a dictionary that sentences were made with."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from seqcli.data import translation_table as chapter
from seqcli.data.translation_table import ROUNDS, Pair, translation_table


def drawn(seed: int, pairs: int) -> list[Pair]:
    """Sentences over 12 words, each word's translation its number and 20, in any order, and now and then a particle, 40, that translates
    nothing."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(pairs):
        sources = draw.integers(0, 12, draw.integers(1, 7)).tolist()
        targets = [*draw.permutation([20 + word for word in sources]).tolist(), *[40] * int(draw.random() < 0.3)]
        found.append((sources, targets))
    return found


def by_hand(pairs: list[Pair]) -> dict[int | None, dict[int, float]]:
    """Brown et al. 1993, §4, as the formula has it; None is the empty word."""
    table: dict[int | None, dict[int, float]] = defaultdict(lambda: defaultdict(lambda: 1.0))
    for _ in range(ROUNDS):
        counts: dict[int | None, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for sources, targets in pairs:
            for target in targets:
                total = sum(table[source][target] for source in (*sources, None))
                for source in (*sources, None):
                    counts[source][target] += table[source][target] / total
        table = defaultdict(dict)
        for source, row in counts.items():
            table[source] = {target: count / sum(row.values()) for target, count in row.items()}
    return table


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_model_1(seed: int) -> None:
    pairs = drawn(seed, 30)
    table, found = by_hand(pairs), translation_table(pairs, 13, 41, 5)
    for source in range(13):
        row = table.get(source, {})
        expected = sorted(row.values(), reverse=True)[:5]
        assert [row[target] for target in found[source].tolist() if target >= 0] == pytest.approx(expected)


def test_a_dictionary_is_found() -> None:
    found = translation_table(drawn(3, 500), 12, 41, 1)
    assert found[:, 0].tolist() == [20 + word for word in range(12)]


def test_what_never_met_is_no_translation() -> None:
    assert translation_table([([0], [1]), ([0, 0], [1])], 2, 3, 2).tolist() == [[1, -1], [-1, -1]]
    assert translation_table([], 2, 3, 1).tolist() == [[-1], [-1]]


def test_only_so_much_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chapter, "MOST_CELLS", 4)
    assert translation_table(iter([([0], [1]), ([1], [2]), ([2], [0])]), 3, 3, 1).tolist() == [[1], [2], [-1]]
