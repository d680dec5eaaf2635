"""The accuracy of visual question answering: its formula, and the form in which answers are compared."""

from __future__ import annotations

from itertools import combinations

import pytest
from evaluation.text_scores import text_metrics

from seqcli import __version__
from seqcli.evaluation.vqa import ARTICLES, CONTRACTIONS, MARKS, normalize_answer, vqa_score


# k of 10 people gave the answer. k of the 10 subsets of nine leave one of the k out and have k-1 of them, the other 10-k have all k:
# k=1: (1·0 + 9·⅓)/10 = 0.3; k=2: (2·⅓ + 8·⅔)/10 = 0.6; k=3: (3·⅔ + 7·1)/10 = 0.9; k=4: (4·1 + 6·1)/10 = 1.
@pytest.mark.parametrize(("right", "worth"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (7, 1.0), (10, 1.0)])
def test_ten_people(right: int, worth: float) -> None:
    assert vqa_score("red", ["red"] * right + ["blue"] * (10 - right)) == pytest.approx(worth)


@pytest.mark.parametrize("people", [2, 3, 4, 5, 10])
def test_any_number_of_people_by_the_subsets_themselves(people: int) -> None:
    for right in range(people + 1):
        answers = ["yes"] * right + ["no"] * (people - right)
        subsets = list(combinations(answers, people - 1))
        expected = sum(min(subset.count("yes") / 3, 1) for subset in subsets) / len(subsets)
        assert vqa_score("yes", answers) == pytest.approx(expected)


def test_one_reference_is_right_or_not() -> None:
    assert vqa_score("Two dogs!", ["2 dogs"]) == 1.0
    assert vqa_score("two dogs", ["3 dogs"]) == 0.0


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Yes", "yes"),
        ("two", "2"),
        ("None", "0"),
        ("ten oranges", "10 oranges"),
        ("eleven", "eleven"),
        ("a man on the bench", "man on bench"),
        ("an", ""),
        ("dont", "don't"),
        ("couldntve", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("don't", "don't"),
        ("its", "its"),  # a word of its own, like hell and well
        ("shell", "shell"),
        ("the girl's hat", "girl's hat"),
        ("2:50 pm", "2:50 pm"),
        ("black/white", "black white"),
        ("black / white", "black white"),
        ("red-and-white", "red and white"),
        ("red, white", "red white"),
        ("100,978", "100978"),
        ("1,000-2,000", "10002000"),
        ("t-shirt, hat-less", "t shirt hat less"),
        ("t-shirt -", "tshirt"),  # the mark touches a space somewhere, so it leaves none anywhere
        ("3.5", "3.5"),
        (".5", ".5"),
        ("st. john", "st john"),
        ("5.", "5"),
        ("u.s.a.", "usa"),
        ("what?!", "what"),
        ("on\tthe\ntable\n", "on table"),
        ("  New   York ", "new york"),
        ("'hello'", "'hello'"),
        ("", ""),
    ],
)
def test_the_form_of_answers(text: str, form: str) -> None:
    assert normalize_answer(text) == form
    assert normalize_answer(form) == form


def test_every_contraction_keeps_its_letters_and_is_no_article_or_number() -> None:
    assert len(CONTRACTIONS) > 130
    for wrong, right in CONTRACTIONS.items():
        assert wrong.replace("'", "") == right.replace("'", "")
        assert wrong.count("'") < right.count("'")
        assert right not in CONTRACTIONS
    assert not {*CONTRACTIONS} & {*ARTICLES, "hell", "ill", "its", "shed", "shell", "wed", "well", "were", "id"}
    assert not {"'", ":", "."} & set(MARKS)


def test_the_metric() -> None:
    # 0.3 and 1 and 0, in the mean 43.33; both sides are brought into the same form.
    hypotheses = ["Red.", "two", "cat"]
    references = [["red"] + ["blue"] * 9, ["2"] * 6 + ["three"] * 4, ["dog"] * 10]
    settings = {"bleu_tokenize": "13a", "split": str.split, "one_word": False, "intervals": 300}
    found = text_metrics(["vqa_accuracy"], hypotheses, references, **settings)["vqa_accuracy"]  # type: ignore[arg-type]
    assert found.value == pytest.approx(100 * 1.3 / 3)
    assert found.signature == f"nrefs:10|bs:300|seed:12345|unit:item|n:3|version:seqcli-{__version__}"
    assert found.interval
    assert found.interval[0] < found.value < found.interval[1]
