"""A model that reads and writes text in parts (NFD), from the file to what is printed."""

from __future__ import annotations

import random
import unicodedata

import pytest

import seqcli
from seqcli.evaluation.wishes import Wishes
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe

SYLLABLES = "가나다라각난달랑거너더러"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny: tuple[str, ...]) -> seqcli.Run:
    """A run that has learnt to copy words of one or two syllables; the file has them composed and decomposed by turns."""
    folder = tmp_path_factory.mktemp("decomposed")
    draw = random.Random(1)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 2))) for _ in range(400)]
    rows = [f"{word}\t{word if row % 2 else unicodedata.normalize('NFD', word)}\n" for row, word in enumerate(words)]
    (folder / "pairs.tsv").write_text("source\ttarget\n" + "".join(rows), encoding="utf-8")
    file = folder / "pairs.tsv"
    overrides = (
        *tiny,
        f"data={{kind: files, train: {file}, validation: {file}, test: {file}}}",
        "source.normalize=nfd",
        "target.normalize=nfd",
        "training.steps=250",
        "training.validate_every=250",
        "evaluation.metrics=[exact_match, cer, chrf, per]",
    )
    list(prepare(load_recipe("copy", overrides), folder / "run").train())
    return seqcli.load(folder / "run")


def test_what_is_written_is_composed_and_scored_so(run: seqcli.Run) -> None:
    examples = list(run.corpus("test").read())
    assert any(not unicodedata.is_normalized("NFC", example.target or "") for example in examples)
    found = run.evaluate("test")
    assert all(unicodedata.is_normalized("NFC", text) for text in found.hypotheses)
    right = [
        text == unicodedata.normalize("NFC", example.target or "")
        for text, example in zip(found.hypotheses, examples, strict=True)
    ]
    exact = 100 * sum(right) / len(right)
    assert found.metrics["exact_match"].value == pytest.approx(exact)
    assert exact > 70
    assert found.metrics["chrf"].value > 70
    assert run.translate(["각난"]) == run.translate([unicodedata.normalize("NFD", "각난")])


def test_beginnings_and_phrases_come_apart_too(run: seqcli.Run) -> None:
    settings = run.settings(4)
    examples = run.examples(["나", "각난"])
    begun, held = run.hypotheses(
        examples, settings, wishes=[Wishes(prefix="달"), Wishes(constraints=(unicodedata.normalize("NFD", "러"),))]
    )
    assert begun[0].text.startswith("달")
    assert "러" in held[0].text
    avoided = run.hypotheses(examples, settings, wishes=[Wishes(avoid=("나",))] * 2)
    assert all("나" not in found.text for found in avoided[0])


def test_alignments_number_characters(run: seqcli.Run) -> None:
    examples = run.examples(["각난", "달"])
    found = [one[0] for one in run.hypotheses(examples, run.settings(1))]
    for example, translation, links in zip(examples, found, run.alignments(examples, found), strict=True):
        assert {link.target for link in links} == set(range(len(translation.text)))
        assert all(link.source < len(example.source) for link in links)
