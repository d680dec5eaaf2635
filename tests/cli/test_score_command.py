"""`seqcli score`: one number a line, the number that `seqcli translate` reports for the same text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqcli
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe

SOURCES = ["abcd", "dd", "", "cab", "b"]


def rows_of(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.split("\n")[:-1]]


@pytest.fixture
def translated(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> list[list[str]]:
    """Line number, score and text of three hypotheses for each source that is not blank."""
    (tmp_path / "in").write_text("".join(f"{line}\n" for line in SOURCES))
    ended = call("translate", copy_run, "-i", tmp_path / "in", "--nbest", "3", "--length-penalty", "0.5")
    return [row for row in rows_of(ended.out) if row[0] != "3"]


def test_what_translate_reports(
    call: Callable[..., Any], copy_run: Path, tmp_path: Path, translated: list[list[str]]
) -> None:
    """The same score through two files, and through lines with both sides."""
    sources, targets = [SOURCES[int(row[0]) - 1] for row in translated], [row[2] for row in translated]
    for name, lines in {"source": sources, "target": targets}.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    by_files = call("score", copy_run, tmp_path / "source", tmp_path / "target", "--length-penalty", "0.5")
    (tmp_path / "both").write_text(
        "".join(f"{source}\t{target}\n" for source, target in zip(sources, targets, strict=True))
    )
    by_lines = call(
        "score", copy_run, "-i", tmp_path / "both", "--normalised", "search.length_penalty=0.5", "-o", tmp_path / "out"
    )
    assert (by_files.code, by_lines.code, by_lines.out) == (0, 0, "")
    assert by_files.out == (tmp_path / "out").read_text()
    np.testing.assert_allclose(
        [float(line) for line in by_files.out.splitlines()], [float(row[1]) for row in translated], atol=1.1e-5
    )
    assert len(translated) == 12
    plain = call("score", copy_run, tmp_path / "source", tmp_path / "target")
    sums = [float(line) for line in plain.out.splitlines()]
    lengths = [len(target) + 1 for target in targets]
    normalised = [total / math.sqrt(length) for total, length in zip(sums, lengths, strict=True)]
    np.testing.assert_allclose(normalised, [float(row[1]) for row in translated], atol=1.1e-5)
    perplexity = math.exp(-sum(sums) / sum(lengths))
    assert plain.err == (
        f"12 pairs, {sum(lengths)} symbols: perplexity {perplexity:.4f} a symbol, log-probability {sum(sums) / 12:.4f} a pair\n"
    )


def test_symbols_and_blank_lines(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("abc\tab\n\n\tab\n  \t\nd\t\n")
    ended = call("score", copy_run, "--tokens", "-i", tmp_path / "in")
    assert ended.code == 0
    first, *blank, last = rows_of(ended.out)
    assert blank == [[""]] * 3
    symbols = [float(each) for each in first[1].split()]
    assert len(symbols) == 3
    assert sum(symbols) == pytest.approx(float(first[0]), abs=3e-6)
    assert last[0] == last[1]
    assert "blank sources have no score: 3 (the first is line 2)" in ended.err
    # without its end the likely beginning is nearly certain
    beginning = call("score", copy_run, "--unfinished", "--tokens", "-i", tmp_path / "in", "-q")
    assert rows_of(beginning.out)[0][1].split() == first[1].split()[:2]
    assert rows_of(beginning.out)[-1] == ["0.000000", ""]


def test_json(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> None:
    lines = [{"source": "abc", "target": "ab", "id": 7, "score": "old"}, {"source": "", "target": "x"}]
    (tmp_path / "in").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "\n")
    ended = call("score", copy_run, "--json", "--tokens", "-i", tmp_path / "in")
    first, empty, blank = (json.loads(line) for line in ended.out.splitlines())
    (found,) = seqcli.load(copy_run).score(["abc"], ["ab"])
    assert found is not None
    assert first == {
        **lines[0],
        "log_prob": found.log_prob,
        "score": found.score,
        "tokens": [
            {"token": token, "log_prob": each} for token, each in zip(["a", "b", "</s>"], found.log_probs, strict=True)
        ],
    }
    assert empty == {**lines[1], "log_prob": None, "score": None}
    assert blank == {"log_prob": None, "score": None}
    for name, text in {"source": "abc\n\n", "target": "ab\nx\n"}.items():
        (tmp_path / name).write_text(text)
    ended = call("score", copy_run, tmp_path / "source", tmp_path / "target", "--json")
    first, empty = (json.loads(line) for line in ended.out.splitlines())
    assert first == {"source": "abc", "target": "ab", "log_prob": found.log_prob, "score": found.score}
    assert empty == {"source": "", "target": "x", "log_prob": None, "score": None}


def test_order_over_many_lines(call: Callable[..., Any], copy_run: Path, tmp_path: Path) -> None:
    """More than one bunch of lines; each line has the score that it has alone."""
    draw = np.random.default_rng(3)
    texts = ["".join(draw.choice(list("abcd"), size=draw.integers(1, 6))) for _ in range(5000)]
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    (tmp_path / "in").write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
    ended = call("score", copy_run, "-i", tmp_path / "in")
    scores = [float(line) for line in ended.out.splitlines()]
    assert len(scores) == 2500
    run = seqcli.load(copy_run)
    for row in range(0, 2500, 250):
        (alone,) = run.score([pairs[row][0]], [pairs[row][1]])
        assert alone is not None
        assert scores[row] == pytest.approx(alone.log_prob, abs=1.1e-5)


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory, tiny: tuple[str, ...], own_cache: None) -> Path:
    """Another kind of model, which has learnt the same task a little."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    stack = "kind: transformer, hidden_size: 16, layers: 1, heads: 2, feedforward_size: 16"
    changed = (
        f"model.encoder={{{stack}}}",
        f"model.decoder={{{stack}}}",
        "training.steps=20",
        "training.average=1",
        "training.validate_every=null",
    )
    list(prepare(load_recipe("copy", (*tiny, *changed)), folder).train())
    return folder


def test_an_ensemble(
    call: Callable[..., Any], copy_run: Path, other_run: Path, early_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("abcd\tabcd\nbb\tbc\n")
    scored = call(
        "score", copy_run, "--ensemble", other_run, "--ensemble", early_run, "-i", tmp_path / "in", "--tokens"
    )
    assert scored.code == 0
    alone = [call("score", run, "-i", tmp_path / "in", "--tokens").out for run in (copy_run, other_run, early_run)]
    for row, line in enumerate(rows_of(scored.out)):
        each = [np.exp([float(number) for number in rows_of(out)[row][1].split()]) for out in alone]
        joint = np.exp([float(number) for number in line[1].split()])
        np.testing.assert_allclose(joint, np.mean(each, axis=0), atol=2e-6)
        # that they differ is what makes an ensemble
        assert np.abs(each[0] - each[1]).max() > 0.01
    (tmp_path / "texts").write_text("abcd\n\nbb\n")
    ended = call("translate", copy_run, "--ensemble", other_run, "-i", tmp_path / "texts", "--scores")
    assert (ended.code, ended.err) == (0, "")
    first, blank, _ = rows_of(ended.out)
    assert blank == ["0.000000", ""]
    run = seqcli.load(copy_run, ensemble=[other_run])
    (found,) = run.score(["abcd"], [first[1]])
    assert found is not None
    assert float(first[0]) == pytest.approx(found.score, abs=1.1e-5)
    assert run.translate(["abcd", "", "bb"]) == [row[1] for row in rows_of(ended.out)]
    ended = call("eval", copy_run, "--ensemble", other_run, "--json", "--no-intervals")
    values = {name: metric["value"] for name, metric in json.loads(ended.out)["metrics"].items()}
    assert values == {name: metric.value for name, metric in run.evaluate().metrics.items()}
    assert values["loss"] != seqcli.load(copy_run).evaluate().metrics["loss"].value


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, tiny: tuple[str, ...], own_cache: None) -> Path:
    """A run that writes other letters."""
    folder = tmp_path_factory.mktemp("runs") / "stranger"
    changed = ("data={kind: copy, alphabet: 5, longest: 5, examples: 500}", "training.steps=2", "training.average=1")
    list(prepare(load_recipe("copy", (*tiny, *changed)), folder).train())
    return folder


@pytest.mark.parametrize("command", ["score", "translate", "eval"])
def test_other_symbols_are_refused(call: Callable[..., Any], copy_run: Path, stranger: Path, command: str) -> None:
    ended = call(command, copy_run, "--ensemble", stranger)
    assert ended.code == 2
    assert ended.out == ""
    assert f"{stranger} writes other symbols than {copy_run} (9 and 8)" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-i", "."], ".: cannot be read"),
        (["-i", "nowhere"], "nowhere: cannot be read"),
        (["nowhere", "nowhere"], "nowhere: there is no such file"),
        (["-i", "bad"], "line 1: needs a source, a tab, and a target"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_read_empties_no_output(
    call: Callable[..., Any],
    copy_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("keep").write_text("kept")
    Path("bad").write_text("one column\n")
    ended = call("score", copy_run, *arguments, "-o", "keep")
    assert ended.code == 3
    assert ended.err.startswith(said)
    assert Path("keep").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "given", "code", "said"),
    [
        (["in"], b"", 2, "give SOURCE and TARGET"),
        (["in", "in", "-i", "in"], b"", 2, "give SOURCE and TARGET"),
        (["in", "longer"], b"a\n", 3, "in has 1 lines, but longer has 3"),
        (["in", "nowhere"], b"a\n", 3, "nowhere: there is no such file"),
        (["in", "in", "-o", "in"], b"a\n", 2, "in is read and written"),
        (["-i", "in"], b"ab\tab\nab\n", 3, "line 2: needs a source, a tab, and a target, but has 1 columns: ab"),
        (["-i", "in"], b"ab\tab\tab\n", 3, "line 1: needs a source, a tab, and a target, but has 3 columns"),
        (["-i", "in"], b"ab\tab\n\xff\tab\n", 3, "line 2: has bytes that are not UTF-8"),
        (["-i", "in", "--json"], b'{"source": "ab"}\n', 3, 'line 1: needs a JSON object with a text "target"'),
        (["-i", "in", "--json"], b'{"target": "ab"}\n', 3, 'line 1: needs a JSON object with a text "source"'),
        (["-i", "in", "search.beam=2"], b"", 2, "beam_size"),
        ([f"search.beam={'9' * 5000}", "-i", "in"], b"", 2, "beam_size"),
        (["-i", "in", "--ensemble", "nowhere"], b"", 2, "nowhere is no run directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(
    call: Callable[..., Any],
    copy_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    given: bytes,
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").write_bytes(given)
    Path("longer").write_text("a\nb\nc\n")
    ended = call("score", copy_run, *arguments)
    assert ended.code == code
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
    assert Path("in").read_bytes() == given
