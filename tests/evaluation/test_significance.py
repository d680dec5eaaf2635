from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqcli.evaluation.comparison import best_first, moved_most, paired_tests
from seqcli.evaluation.counting import Counts, count
from seqcli.evaluation.significance import approximate_randomisation, paired_bootstrap

SEED = 7


def worse(line: str, rng: random.Random, share: float) -> str:
    """The line with a share of its words lost."""
    return " ".join(word for word in line.split() if rng.random() > share)


@pytest.fixture(scope="module")
def three_systems() -> tuple[list[str], list[list[str]]]:
    """References, and what three systems of different quality made of them; the last is hardly worse than the second."""
    rng = random.Random(3)
    words = [f"{letter}{number}" for letter in "abcde" for number in range(8)]
    references = [" ".join(rng.choice(words) for _ in range(rng.randint(5, 20))) for _ in range(120)]
    return references, [[worse(line, rng, share) for line in references] for share in (0.1, 0.105, 0.12)]


def counts_of(names: list[str], hypotheses: list[str], references: list[str]) -> dict[str, Counts]:
    accepted = [[reference] for reference in references]
    return count(names, hypotheses, accepted, bleu_tokenize="13a", split=str.split, one_word=False)


@pytest.mark.parametrize(("option", "number"), [("bs", 200), ("ar", 500)])
def test_p_values_are_those_of_the_sacrebleu_command(
    option: str,
    number: int,
    three_systems: tuple[list[str], list[list[str]]],
    tmp_path: Path,
) -> None:
    references, systems = three_systems
    names = ("ref", "one", "two", "three")
    for name, lines in zip(names, (references, *systems), strict=True):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    # as text, since the command cannot write the float32 of chrF and TER as JSON
    given = ["ref", "-i", "one", "two", "three", "-m", "bleu", "chrf", "ter", "--format", "text", "--no-color"]
    told = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *given, f"--paired-{option}", f"--paired-{option}-n", str(number)],
        cwd=tmp_path,
        env={**os.environ, "SACREBLEU_SEED": str(SEED)},
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = re.findall(r"\(p = ([0-9.]+)\)", told.stdout)
    first, *others = (counts_of(["bleu", "chrf", "ter"], system, references) for system in systems)
    ours = []
    for other in others:
        tests = paired_tests(first, other, resamples=number, trials=number, seed=SEED)
        ours += [test.bootstrap if option == "bs" else test.randomisation for test in tests]
    assert [f"{p:.4f}" for p in ours] == theirs
    assert len(set(theirs)) >= 4, "values that could be mistaken"


def mean(total: np.ndarray) -> float:
    return float(total[0] / total[1])


def per_item(values: list[int]) -> np.ndarray:
    return np.stack((np.array(values, dtype=float), np.ones(len(values))), axis=1)


def test_a_single_difference_is_no_evidence() -> None:
    """Whichever way the one sentence that differs is swapped, the scores are as far apart as they are: p is 1 by the paper's rule."""
    one, other = per_item([1, 0, 1, 1]), per_item([1, 1, 1, 1])
    assert approximate_randomisation(one, other, mean, trials=99, seed=1, ties=True) == 1.0
    # sacrebleu counts only what is farther apart, which nothing is
    assert approximate_randomisation(one, other, mean, trials=99, seed=1, ties=False) == 1 / 100


def test_randomisation_against_all_swaps_there_are() -> None:
    """Of the 2^9 swaps those as far apart as the observed |8 - 1| / 12 are counted one by one."""
    one, other = per_item([0] * 8 + [1, 0, 1, 1]), per_item([1] * 8 + [0, 0, 1, 1])
    gains = [1] * 8 + [-1]
    as_far = sum(
        abs(sum(sign * gain for sign, gain in zip(signs, gains, strict=True))) >= 7
        for signs in itertools.product((1, -1), repeat=9)
    )
    exact = as_far / 2**9
    found = approximate_randomisation(one, other, mean, trials=20000, seed=2, ties=True)
    # five standard deviations of a share of 20,000 trials
    assert found == pytest.approx(exact, abs=5 * (exact / 20000) ** 0.5)
    assert 0.03 < exact < 0.05


def test_the_same_counts_leave_nothing_to_test() -> None:
    one = per_item([1, 0, 1])
    assert paired_bootstrap(one, one.copy(), mean, resamples=50, seed=1) is None
    assert approximate_randomisation(one, one.copy(), mean, trials=50, seed=1, ties=False) is None


def test_p_falls_as_the_difference_grows_and_follows_from_the_seed() -> None:
    rng = np.random.default_rng(5)
    base = (rng.random(300) < 0.5).astype(int)
    found = []
    for gained in (3, 30, 120):
        better = base.copy()
        better[np.flatnonzero(base == 0)[:gained]] = 1
        better[np.flatnonzero(base == 1)[:2]] = 0
        pair = per_item(base.tolist()), per_item(better.tolist())
        both = (
            paired_bootstrap(*pair, mean, resamples=300, seed=4),
            approximate_randomisation(*pair, mean, trials=300, seed=4, ties=True),
        )
        assert both == (
            paired_bootstrap(*pair, mean, resamples=300, seed=4),
            approximate_randomisation(*pair, mean, trials=300, seed=4, ties=True),
        )
        found.append(both)
    for place in (0, 1):
        ps = [each[place] for each in found]
        assert ps[0] is not None
        assert ps[0] > 0.05
        assert ps[1:] == [1 / 301, 1 / 301]


def test_the_sentences_that_moved_most() -> None:
    references = ["a b c d e", "a b c d e", "a b c d e", "x"]
    before = counts_of(["bleu", "exact_match"], ["a b c d e", "a b c d f", "q", "x"], references)
    after = counts_of(["bleu", "exact_match"], ["q", "a b c d e", "q", "x"], references)
    moved = moved_most(before["exact_match"], after["exact_match"], 5)
    assert [(each.row, each.before, each.after) for each in moved] == [(0, 100.0, 0.0), (1, 0.0, 100.0)]
    assert [each.row for each in moved_most(before["bleu"], after["bleu"], 1)] == [0]
    # a sentence of one word has no pair of words; sacrebleu's sentence BLEU counts the orders that it has
    assert before["bleu"].items()[3] == pytest.approx(100.0)


def test_best_first_breaks_ties_by_closeness_then_length() -> None:
    counts = counts_of(["exact_match", "ter"], ["a", "b", "c", "d"], ["a", "b", "z", "z"])
    order = best_first("exact_match", counts["exact_match"], np.array([1.0, 1.0, 0.2, 0.4]), [1, 5, 1, 1])
    assert order.tolist() == [1, 0, 3, 2]
    # fewer edits are better
    assert best_first("ter", counts["ter"], np.zeros(4), [1, 1, 1, 1]).tolist() == [0, 1, 2, 3]
