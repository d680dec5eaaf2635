"""Heads by numbers that are worked out by hand, and heads that do what has a name."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from analysis.readers import PAIRS, SETTINGS, reader

from seqcli.analysis.attention_kinds import AttentionKind, KindName, kinds_of
from seqcli.analysis.heads import Head, distances, entropies, measured_heads
from seqcli.evaluation.attention import attention_maps

Rows = list[list[float]]


def kind_of(name: KindName, weights: Rows, grid: tuple[int, int] | None = None) -> AttentionKind:
    """One layer and head; the last symbol ends the sentence."""
    array = np.array(weights, dtype=np.float32)
    rows = (*"abcdefghijklmnopqrst"[: len(weights) - 1], "</s>")
    columns = (*"abcdefghijklmnopqrst"[: array.shape[1] - 1], "</s>")
    if name == "decoder":
        columns = ("<s>", *rows[:-1])
    spans = tuple((place, place + 1) for place in range(len(rows))), tuple((p, p + 1) for p in range(len(columns)))
    seen = np.tril(np.ones(array.shape, dtype=np.bool_)) if name == "decoder" else np.ones(array.shape, dtype=np.bool_)
    return AttentionKind(name, array[None, None], rows, columns, *spans, seen, grid)


def head_of(name: KindName, weights: Rows, grid: tuple[int, int] | None = None) -> Head:
    (found,) = measured_heads([[kind_of(name, weights, grid)]])
    return found


def shifted(offset: int, size: int) -> Rows:
    """Each row looks at the column so far from it, or at the nearest there is."""
    places = np.clip(np.arange(size) + offset, 0, size - 1)
    return np.eye(size)[places].tolist()  # type: ignore[no-any-return]


def test_entropy_and_distance_by_hand() -> None:
    """Row a: ½, ¼, ¼ → ½ ln 2 + 2·¼ ln 4 = 1.5 ln 2, distance ¼·1 + ¼·2 = ¾; row b: all on b → 0, 0; row </s>: ⅓ each → ln 3, distance 1."""
    third = 1 / 3
    head = head_of("encoder", [[0.5, 0.25, 0.25], [0, 1, 0], [third, third, third]])
    assert head.entropy == pytest.approx((1.5 * math.log(2) + math.log(3)) / 3, abs=1e-6)
    assert head.evenness == pytest.approx((1.5 * math.log(2) + math.log(3)) / 3 / math.log(3), abs=1e-6)
    assert head.distance == pytest.approx((0.75 + 0 + 1) / 3, abs=1e-6)
    assert head.confidence == pytest.approx((0.5 + 1 + third) / 3, abs=1e-6)
    assert (head.layer, head.head, head.rows) == (1, 1, 3)


def test_no_weight_has_no_entropy() -> None:
    assert entropies(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist() == pytest.approx([0.0, math.log(2)])


def test_a_row_without_a_choice_does_not_count() -> None:
    """The first step of a decoder has read <s> alone. Row b looks at both evenly: ln 2, as even as can be, distance ½."""
    head = head_of("decoder", [[1, 0], [0.5, 0.5]])
    assert head.rows == 1
    assert (head.entropy, head.evenness, head.distance) == pytest.approx((math.log(2), 1.0, 0.5))
    assert measured_heads([[kind_of("decoder", [[1.0]])]]) == []


def test_distance_of_cross_attention_is_from_the_diagonal() -> None:
    """Two steps and five symbols: the diagonal is at 0 and 4; the second row looks at 1, three away."""
    assert head_of("cross", [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]).distance == pytest.approx(1.5)


def test_distance_over_an_image_is_between_cells() -> None:
    far = distances(kind_of("encoder", np.eye(6).tolist(), grid=(2, 3)))
    assert far is not None
    assert far[0].tolist() == pytest.approx([0, 1, 2, 1, math.sqrt(2), math.sqrt(5)])
    assert distances(kind_of("cross", [[0.5, 0.5]], grid=(1, 2))) is None
    assert head_of("cross", np.eye(6).tolist(), grid=(2, 3)).pattern == "mixed"


def test_the_end_of_the_sentence_gives_no_confidence() -> None:
    assert head_of("encoder", [[0.1, 0.2, 0.7], [0.3, 0.1, 0.6], [0, 0, 1]]).confidence == pytest.approx(0.5 / 3, abs=1e-6)  # fmt: skip


@pytest.mark.parametrize("name", ["encoder", "cross"])
def test_a_uniform_head(name: KindName) -> None:
    head = head_of(name, np.full((6, 6), 1 / 6).tolist())
    assert head.pattern == "uniform"
    assert head.words == "uniform: 100% of the largest entropy"


def test_a_head_at_rest() -> None:
    head = head_of("encoder", [[0, 0.05, 0, 0.95]] * 4)
    assert (head.pattern, head.words) == ("resting", "at rest: 95% of its weight on </s>")
    assert head_of("decoder", [[1, 0, 0, 0]] * 4).words == "at rest: 100% of its weight on <s>"
    assert (
        head_of("encoder", [[0, 0.95, 0, 0.05]] * 4).pattern == "mixed"
    )  # the same symbol for all, but one that says something


@pytest.mark.parametrize(
    ("name", "offset", "said"),
    [
        ("encoder", 0, "at itself"),
        ("encoder", -1, "1 before itself"),
        ("encoder", 2, "2 after itself"),
        ("decoder", 0, "at what was just read"),
        ("decoder", -1, "1 before what was just read"),
    ],
)
def test_a_head_that_looks_at_one_offset(name: KindName, offset: int, said: str) -> None:
    head = head_of(name, shifted(offset, 12))
    assert head.pattern == "diagonal"
    assert head.words == f"diagonal: 100% of the highest weights are {said}"


@pytest.mark.parametrize(("hits", "pattern"), [(18, "diagonal"), (17, "mixed")])
def test_nine_of_ten_rows_make_a_diagonal(hits: int, pattern: str) -> None:
    weights = np.eye(20)
    for row in range(hits, 20):
        weights[row] = np.eye(20)[(row * 7) % 13]
    assert head_of("encoder", weights.tolist()).pattern == pattern


def test_a_head_that_walks_along_the_source() -> None:
    assert head_of("cross", shifted(0, 9)).pattern == "diagonal"
    backwards = head_of("cross", shifted(0, 9)[::-1])
    assert backwards.pattern == "antidiagonal"
    assert backwards.words.startswith("antidiagonal: it goes backwards along the source (correlation -1.00")
    assert head_of("cross", [[1, 0, 0, 0]] * 6).pattern == "mixed"


def test_a_few_rows_make_no_diagonal() -> None:
    """Four symbols and the end of the sentence are enough, three are not."""
    assert head_of("cross", shifted(0, 5)).pattern == "diagonal"
    assert head_of("cross", shifted(0, 4)).pattern == "mixed"
    assert head_of("encoder", shifted(0, 4)).pattern == "diagonal"
    assert head_of("encoder", shifted(0, 3)).pattern == "mixed"


def test_sentences_are_measured_together() -> None:
    """All rows count alike: two of a sentence with entropy ln 2 and four of one with none give a third of ln 2."""
    even, sharp = kind_of("cross", [[0.5, 0.5]] * 2), kind_of("cross", np.eye(4).tolist())
    (head,) = measured_heads([[even], [sharp]])
    assert head.rows == 6
    assert head.entropy == pytest.approx(math.log(2) / 3)


def test_dead_is_what_nobody_misses() -> None:
    head = head_of("cross", shifted(0, 9))
    assert not head.dead
    assert head.as_json()["dead"] is None
    dead = replace(head, removal=0.0002)
    assert dead.dead
    assert dead.words.startswith("dead: perplexity without it +0.02%; diagonal")
    assert not replace(head, removal=0.01).dead


def test_a_model_has_each_head_once() -> None:
    samples = [kinds_of(maps) for maps in attention_maps(reader(), PAIRS, SETTINGS)]
    found = measured_heads(samples)
    places = [(head.kind, head.layer, head.head) for head in found]
    assert places == [
        (kind, layer, head) for kind in ("encoder", "decoder", "cross") for layer in (1, 2) for head in (1, 2)
    ]
    for head in found:
        assert 0 <= head.evenness <= 1 + 1e-6
        assert head.distance is not None
    with pytest.raises(ValueError, match="no attention to measure"):
        measured_heads([])
