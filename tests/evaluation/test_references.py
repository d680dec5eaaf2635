"""Several references an item: parity with sacrebleu, and what counts as the nearest."""

from __future__ import annotations

import random
from itertools import permutations, zip_longest

import pytest
from evaluation.text_scores import text_metrics
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seqcli import __version__
from seqcli.errors import DataError
from seqcli.evaluation.counting import nearest
from seqcli.evaluation.metrics import TEXT_METRICS
from seqcli.types import Metric

WORDS = (
    *("a", "an", "the", "dog", "cat", "man", "woman", "red", "blue", "big"),
    *("runs", "sits", "eats", "jumps", "on", "over", "grass", "table", ",", "."),
)


def score(
    names: list[str], hypotheses: list[str], references: list[list[str]], **settings: object
) -> dict[str, Metric]:
    return text_metrics(
        names,
        hypotheses,
        references,
        **{"bleu_tokenize": "13a", "split": str.split, "one_word": False, **settings},  # type: ignore[arg-type]
    )


def captions(count: int, fewest: int, most: int) -> tuple[list[str], list[list[str]]]:
    """Hypotheses of random words, and for each from `fewest` to `most` references that share some of them."""
    rng = random.Random(3)
    hypotheses, references = [], []
    for _ in range(count):
        words = rng.choices(WORDS, k=rng.randint(5, 12))
        hypotheses.append(" ".join(words))
        references.append(
            [
                " ".join(word if rng.random() > 0.3 else rng.choice(WORDS) for word in words[: rng.randint(4, 12)])
                for _ in range(rng.randint(fewest, most))
            ]
        )
    return hypotheses, references


@pytest.mark.parametrize(("fewest", "most", "nrefs"), [(1, 1, "1"), (5, 5, "5"), (1, 4, "var")])
@pytest.mark.parametrize("tokenize", ["13a", "none"])
def test_the_same_as_sacrebleu_with_several_references(fewest: int, most: int, nrefs: str, tokenize: str) -> None:
    hypotheses, references = captions(60, fewest, most)
    columns = list(zip_longest(*references))  # sacrebleu's layout: None where an item has no further reference
    theirs = {
        "bleu": BLEU(tokenize=tokenize, force=True),
        "chrf": CHRF(),
        "ter": TER(),
        **{f"bleu_{order}": BLEU(tokenize=tokenize, force=True, max_ngram_order=order) for order in (1, 2, 3, 4)},
    }
    ours = score(list(theirs), hypotheses, references, bleu_tokenize=tokenize)
    for name, metric in theirs.items():
        assert ours[name].value == pytest.approx(metric.corpus_score(hypotheses, columns).score, abs=1e-9), name
        signature = str(metric.get_signature())
        assert signature.startswith(f"nrefs:{nrefs}|")
        if name.startswith("bleu_"):
            before, _, version = signature.rpartition("|")
            signature = f"{before}|order:{name[-1]}|{version}"
        assert ours[name].signature == signature
    assert ours["bleu_4"].value == ours["bleu"].value
    assert len({ours[f"bleu_{order}"].value for order in (1, 2, 3, 4)}) == 4


def test_bleu_up_to_an_order_worked_by_hand() -> None:
    # "the the cat sat" (4 words) against "the cat sat down" (4) and "the the dog" (3): the closest reference has 4 words, so there is
    # no penalty. Of its words "the" stands twice in the second reference, so all 4 match; of its bigrams "the the", "the cat" and
    # "cat sat" all 3 match, of its trigrams only "the cat sat" of 2 does.
    found = score(["bleu_1", "bleu_2", "bleu_3"], ["the the cat sat"], [["the cat sat down", "the the dog"]])
    assert found["bleu_1"].value == pytest.approx(100.0)
    assert found["bleu_2"].value == pytest.approx(100.0)
    assert found["bleu_3"].value == pytest.approx(100.0 * (1 / 2) ** (1 / 3))


def test_of_two_references_as_close_the_shorter_one_counts() -> None:
    # Two words, references of one and of three: with the shorter there is no brevity penalty, with the longer it would be e^(1-3/2).
    found = score(["bleu_1"], ["a dog"], [["a dog runs", "a"]])
    assert found["bleu_1"].value == pytest.approx(100.0)


def test_an_exact_match_is_one_with_any_reference() -> None:
    found = score(["exact_match"], ["a", "b", "c"], [["x", "a"], ["b"], ["x", "y"]])
    assert found["exact_match"].value == pytest.approx(100 * 2 / 3)
    assert found["exact_match"].signature == f"nrefs:var|unit:item|n:3|version:seqcli-{__version__}"


def test_error_rates_count_from_the_nearest_reference() -> None:
    # "a b" is 2 edits from "c d" (2 words: 1 a word), and 2 from "a b c d" (4 words: ½ a word), which is nearest; "e" is right.
    # In characters "a b" lacks 4 of the 7 of "a b c d" (0.57), but has 2 of the 3 of "c d" wrong (0.67).
    references = [["c d", "a b c d"], ["e"]]
    found = score(["wer", "per", "cer"], ["a b", "e"], references)
    assert found["wer"].value == pytest.approx(100 * 2 / (4 + 1))
    assert found["per"].value == found["wer"].value
    assert found["cer"].value == pytest.approx(100 * 4 / (7 + 1))
    whole = score(["wer"], ["a b", "e"], references, one_word=True)
    assert whole["wer"].value == pytest.approx(50.0)


def test_of_references_as_near_the_shortest_counts() -> None:
    # One edit from "a x" (of 2 symbols), two from "a b x y" (of 4): both are half an edit a symbol.
    assert nearest(["a", "b"], [["a", "b", "x", "y"], ["a", "x"]]) == (1, 2)
    assert nearest(["a"], [[], ["b", "c", "d"]]) == (1, 0)  # 1 edit to nothing at all, 3 on 3: as near, and shorter
    assert nearest([], [["a"], []]) == (0, 0)


def test_the_order_of_references_does_not_matter() -> None:
    hypotheses, references = captions(25, 3, 3)
    first = score([*TEXT_METRICS], hypotheses, references)
    for order in permutations(range(3)):
        found = score([*TEXT_METRICS], hypotheses, [[each[place] for place in order] for each in references])
        for name in TEXT_METRICS:
            assert found[name].value == pytest.approx(first[name].value, abs=1e-9), name


def test_an_item_without_a_reference_is_refused() -> None:
    with pytest.raises(DataError, match="item 2 has no reference"):
        score(["bleu"], ["a", "b"], [["a"], []])


def test_a_part_of_the_items_tells_its_own_number_of_references() -> None:
    hypotheses, references = captions(10, 2, 2)
    references[0] = references[0][:1]
    assert score(["cer"], hypotheses, references)["cer"].signature.startswith("nrefs:var|")
    assert score(["cer"], hypotheses[1:], references[1:])["cer"].signature.startswith("nrefs:2|")
