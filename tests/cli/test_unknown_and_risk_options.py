"""`seqcli translate` with words for what is unknown, and with samples ranked by minimum Bayes risk."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

import seqcli
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe
from seqcli.search.sampling import Sampling

COMMON = {"der": "the", "hund": "dog", "sieht": "sees", "und": "and", "die": "she", "katze": "cat", "ruft": "calls"}
RECIPE = """\
data: {kind: files, train: names.tsv, columns: {source: 0, target: 1}}
source: {tokenizer: {kind: words, min_frequency: 3}}
target: {tokenizer: {kind: words, min_frequency: 3}}
model:
  encoder: {kind: gru, hidden_size: 24, embedding_size: 16, bidirectional: true}
  decoder: {kind: gru, hidden_size: 48, embedding_size: 16, attention: {kind: dot}}
training: {steps: 150, batch_tokens: 512, validate_every: null, optimizer: {kind: adamw, learning_rate: 2e-2}, schedule: {kind: cosine}}
threads: 1
"""


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """Sentences word for word, most of them with a name that no other has."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        words = draw.choices(list(COMMON), k=draw.randint(2, 5))
        if draw.random() < 0.7:
            words[draw.randrange(len(words))] = "".join(draw.choices("abcdefghij", k=8)).title()
        found.append((" ".join(words), " ".join(COMMON.get(word, word) for word in words)))
    return found


@pytest.fixture(scope="module")
def names_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run of words that has met many names, each once, and so has a symbol for none of them."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "names.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in pairs(1500, seed=1)))
    recipe = folder / "names.yaml"
    recipe.write_text(RECIPE.replace("names.tsv", str(folder / "names.tsv")))
    list(prepare(load_recipe(str(recipe), []), folder / "run").train())
    return folder / "run"


def test_names_come_through(call: Callable[..., Any], names_run: Path, tmp_path: Path) -> None:
    test = pairs(100, seed=2)
    (tmp_path / "in").write_text("".join(f"{source}\n" for source, _ in test))

    def right(*options: str | Path) -> int:
        ended = call("translate", names_run, "-i", tmp_path / "in", *options)
        assert (ended.code, ended.err) == (0, "")
        assert "<unk>" not in ended.out
        return sum(line == target for line, (_, target) in zip(ended.out.splitlines(), test, strict=True))

    without_names = sum(not any(word.istitle() for word in source.split()) for source, _ in test)
    assert without_names < 40
    assert right() <= without_names
    assert right("--replace-unknown") >= 90
    assert right("--replace-unknown", "--beam-size", "3") >= 90
    # it is the unknown symbol that is replaced
    left = call("translate", names_run, "-i", tmp_path / "in", "search.unknown=true").out
    assert sum("<unk>" in line for line in left.splitlines()) >= 50


def test_a_dictionary_n_best_and_json(call: Callable[..., Any], names_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("der Hbcdefgh ruft\n\nkatze sieht Jjjjiiii\n")
    (tmp_path / "lexicon").write_text("Hbcdefgh\tHubert the Wise\nkatze\tnever used\n")
    options = ("-i", tmp_path / "in", "--replace-unknown", "--lexicon", tmp_path / "lexicon", "--nbest", "2")
    rows = [line.split("\t") for line in call("translate", names_run, *options, "--alignments").out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "3", "3"]
    assert rows[0][2] == "the Hubert the Wise calls"
    assert rows[3][2] == "cat sees Jjjjiiii"
    # the links are those of the symbols that were written
    assert rows[0][3] == "0-0 1-1 2-2"
    (tmp_path / "json").write_text('{"source": "der Hbcdefgh ruft"}\n')
    ended = call("translate", names_run, "-i", tmp_path / "json", "--json", *options[2:])
    answer = json.loads(ended.out)
    assert answer["translation"] == answer["translations"][0]["text"] == "the Hubert the Wise calls"
    assert answer["translations"][1]["text"] == rows[1][2]


def test_from_python(names_run: Path) -> None:
    run = seqcli.load(names_run, ["search.unknown=true"])
    examples = run.examples(["der Hbcdefgh ruft", "katze"])
    found = [several[0] for several in run.hypotheses(examples)]
    assert [one.text for one in found] == ["the <unk> calls", "cat"]
    assert [one.text for one in run.without_unknown(examples, found)] == ["the Hbcdefgh calls", "cat"]


@pytest.mark.parametrize("utility", ["chrf", "bleu"])
def test_minimum_bayes_risk(call: Callable[..., Any], early_run: Path, tmp_path: Path, utility: str) -> None:
    """What is printed is what sacrebleu says of samples drawn with the same seed."""
    given = ["abcd", "", "ddc", "cacab"]
    (tmp_path / "in").write_text("".join(f"{line}\n" for line in given))
    options = ("--mbr", "16", "--mbr-utility", utility, "search.length_penalty=0")
    ended = call("translate", early_run, "-i", tmp_path / "in", *options, "--nbest", "16")
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split("\t") for line in ended.out.splitlines()]
    run = seqcli.load(early_run, ["search.beam_size=16"])
    settings = run.settings()
    drawn = run.hypotheses(run.examples(given), replace(settings, sampling=Sampling()))
    metric = CHRF() if utility == "chrf" else BLEU(effective_order=True)
    differing = 0
    for number, samples in enumerate(drawn, start=1):
        ranking = [row for row in rows if row[0] == str(number)]
        texts = [one.text for one in samples]
        assert sorted(row[2] for row in ranking) == sorted(set(texts))
        scores = [float(row[1]) for row in ranking]
        assert scores == sorted(scores, reverse=True)
        if given[number - 1]:
            expected = [np.mean([metric.sentence_score(row[2], [text]).score for text in texts]) for row in ranking]
            assert scores == pytest.approx(expected, abs=1e-6)
            differing += len(ranking)
        else:
            assert ranking == [["2", "0.000000", ""]]
    assert differing > 12
    first = [next(row[2] for row in rows if row[0] == str(number)) for number in range(1, 5)]
    assert call("translate", early_run, "-i", tmp_path / "in", *options).out.split("\n")[:-1] == first


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--lexicon", "in"], 2, "--lexicon goes with --replace-unknown"),
        (["--replace-unknown", "--lexicon", "in"], 3, "in:1: needs a word, a tab, and its translation: ab"),
        (["--replace-unknown", "--lexicon", "nowhere"], 3, "nowhere: cannot be read"),
        (["--mbr-utility", "bleu"], 2, "--mbr-utility goes with --mbr"),
        (["--mbr", "4", "--mbr-utility", "ter"], 2, "--mbr-utility ter: there are chrf and bleu"),
        (["--mbr", "4", "--beam-size", "4"], 2, "--mbr 4 goes without --beam-size"),
        (["--mbr", "1"], 2, "--mbr"),
        (
            ["--mbr", "4", "search.shortlist={best: 1}"],
            2,
            "--mbr 4 draws from all of the vocabulary; set search.shortlist=null",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(
    call: Callable[..., Any],
    copy_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").write_text("ab\n")
    ended = call("translate", copy_run, "-i", "in", *options)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
