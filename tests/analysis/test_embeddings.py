"""Principal components and neighbours: by hand, and against the singular value decomposition."""

from __future__ import annotations

import math

import pytest
import torch

from seqcli.analysis.embeddings import embedding_map, principal_components
from seqcli.data.vocabulary import learn_words
from seqcli.errors import RecipeError

WORDS = learn_words(["the the the the cat cat cat dog dog sat"])
TABLE = torch.tensor([[9.0, 9.0]] * 4 + [[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0], [0.0, 2.0]])  # the, cat, dog, sat


def test_components_of_points_on_a_line() -> None:
    points, explained = principal_components(torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]).double())
    # all variance lies along (3, 4)/5, where the points are 5 apart
    assert points[:, 0].tolist() == pytest.approx([-5.0, 0.0, 5.0])
    assert points[:, 1].tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert explained == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize("shape", [(50, 8), (5, 20)])
def test_components_are_those_of_the_svd(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    vectors = torch.randn(shape).double()
    points, explained = principal_components(vectors)
    centred = vectors - vectors.mean(dim=0)
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    torch.testing.assert_close(points.abs(), (left * values)[:, :2].abs())
    shares = values**2 / (values**2).sum()
    assert explained == pytest.approx(shares[:2].tolist())
    assert torch.equal(principal_components(vectors)[0], points)


def test_one_dimension_and_no_variance() -> None:
    points, explained = principal_components(torch.tensor([[1.0], [3.0]]).double())
    assert points.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert explained == (1.0, 0.0)
    assert principal_components(torch.ones(3, 2).double())[1] == (0.0, 0.0)


def test_neighbours_by_hand() -> None:
    found = embedding_map("source", TABLE, WORDS, words=["the"], neighbours=2)
    assert found.words == ("the",)
    # cosines of (1,0): with cat (1,1) 1/√2, with sat (0,2) 0, with dog (−1,0) −1; special symbols are not asked
    ((first, second),) = found.neighbours
    assert first == ("cat", pytest.approx(1 / math.sqrt(2)))
    assert second == ("sat", pytest.approx(0.0))
    assert (found.vocabulary, found.width) == (4, 2)


def test_the_most_frequent_words_come_first() -> None:
    assert embedding_map("source", TABLE, WORDS, count=2).words == ("the", "cat")
    assert embedding_map("source", TABLE, WORDS).words == ("the", "cat", "dog", "sat")


def test_the_axes_do_not_depend_on_the_words_shown() -> None:
    everything = embedding_map("source", TABLE, WORDS)
    one = embedding_map("source", TABLE, WORDS, words=["dog"])
    assert one.points[0].tolist() == everything.points[2].tolist()
    assert one.explained == everything.explained


def test_an_unknown_word_is_told_with_one_that_is_near() -> None:
    with pytest.raises(RecipeError, match="--words cats: the source's vocabulary has no such symbol; it has cat"):
        embedding_map("source", TABLE, WORDS, words=["cats"])
    with pytest.raises(RecipeError, match="no such symbol"):
        embedding_map("source", TABLE, WORDS, words=["<s>"])
