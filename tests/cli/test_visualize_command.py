"""`seqcli visualize`: pictures and arrays of what a model looked at, and of how it learnt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIGNATURES = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF-"}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_attention_as_png_with_arrays(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("visualize", "attention", copy_run, "--text", "abcd", "-o", "deep/map.png", "--arrays", "map.npz")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "wrote deep/map.png\nwrote map.npz\n"
    assert Path("deep/map.png").read_bytes().startswith(SIGNATURES[".png"])
    arrays = np.load("map.npz", allow_pickle=False)
    assert list(arrays["source"]) == ["a", "b", "c", "d", "</s>"]
    assert list(arrays["target"]) == ["a", "b", "c", "d", "</s>"]
    assert arrays["cross"].shape == (1, 1, 5, 5)
    np.testing.assert_allclose(arrays["cross"].sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_several_sentences(call: Callable[..., Any], copy_run: Path, ending: str) -> None:
    Path("in").write_bytes(b"\xef\xbb\xbfab\r\n\r\ndc\n")
    ended = call("visualize", "attention", copy_run, "-t", "cba", "-i", "in", "-o", f"map{ending}", "--arrays", "m.npz")
    assert ended.code == 0
    pictures = ["map.pdf"] if ending == ".pdf" else [f"map-{number}{ending}" for number in (1, 2, 3)]
    arrays = [f"m-{number}.npz" for number in (1, 2, 3)]
    assert {path.name for path in Path().iterdir()} == {"in", *pictures, *arrays}
    for picture in pictures:
        assert Path(picture).read_bytes().startswith(SIGNATURES[ending])
    sources = ["".join(np.load(name)["source"][:-1]) for name in arrays]
    assert sources == ["cba", "ab", "dc"]


def test_a_given_target(call: Callable[..., Any], copy_run: Path) -> None:
    arguments = ("--text", "abcd", "--target", "ba", "--arrays", "map.npz", "-o", "map.svg")
    assert call("visualize", "attention", copy_run, *arguments).code == 0
    arrays = np.load("map.npz")
    assert list(arrays["target"]) == ["b", "a", "</s>"]
    assert arrays["cross"].shape[-2:] == (3, 5)


def test_beam_output(call: Callable[..., Any], copy_run: Path) -> None:
    arguments = ("--text", "abcd", "--beam-size", "4", "--arrays", "map.npz", "-o", "map.svg")
    assert call("visualize", "attention", copy_run, *arguments).code == 0
    assert "".join(np.load("map.npz")["target"][:-1]) == "abcd"


@pytest.mark.parametrize("option", ["--sheet", "--words", "--dark"])
def test_each_look_is_another(call: Callable[..., Any], copy_run: Path, option: str) -> None:
    for name, more in (("plain", ()), ("other", (option,))):
        assert call("visualize", "attention", copy_run, "--text", "abcd", "-o", f"{name}.svg", *more).code == 0
    assert Path("plain.svg").read_bytes() != Path("other.svg").read_bytes()


def test_a_very_long_sentence_is_told(
    call: Callable[..., Any], copy_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqcli.evaluation.reader.LONGEST_SOURCE", 20)
    ended = call("visualize", "attention", copy_run, "--text", "abcd" * 10, "-o", "map.png")
    assert ended.code == 0
    assert "a source is longer than 19 symbols and read only that far (text 1)" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "--text"),
        (["--text", "ab", "--target", "a", "--target", "b"], 2, "1 sources, but 2 times --target"),
        (["--text", " "], 1, "nothing to look at"),
        (["--text", "ab", "-o", "map.gif"], 2, "map.gif"),
        (["--text", "ab", "-o", "file/map.png"], 74, "file/map.png"),
        (["--text", "ab", "--arrays", "map.txt"], 2, "map.txt"),
        (["-i", "nothere"], 3, "nothere: cannot be read"),
        (["-i", "."], 3, ".: cannot be read"),
        (["--text", "ab", "--kind", "self"], 2, "--kind self: there are encoder, decoder and cross"),
        (["--text", "ab", "--kind", "encoder"], 2, "--kind encoder: this model has none; it has cross"),
        (["--text", "ab", "--against", "nothere"], 2, "nothere is no run directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(call: Callable[..., Any], copy_run: Path, arguments: list[str], code: int, said: str) -> None:
    Path("file").touch()
    ended = call("visualize", "attention", copy_run, *arguments)
    assert ended.code == code
    assert said in ended.err


def test_figures_of_heads_as_json(call: Callable[..., Any], copy_run: Path) -> None:
    """No picture is written that was not asked for."""
    ended = call("visualize", "attention", copy_run, "--text", "abcd", "--text", "dcb", "--json")
    assert (ended.code, ended.err) == (0, "")
    first, second = json.loads(ended.out)
    assert first["source"] == first["target"] == ["a", "b", "c", "d", "</s>"]
    assert "".join(second["source"][:-1]) == "dcb"
    (head,) = first["heads"]
    assert (head["kind"], head["layer"], head["head"], head["rows"]) == ("cross", 1, 1, 5)
    assert head["pattern"] == "diagonal"
    assert head["words"].startswith("diagonal: it goes along the source")
    assert 0 <= head["entropy"] <= np.log(5)
    assert list(Path().iterdir()) == []


def test_heads_measured_on_more_than_the_sentence(call: Callable[..., Any], copy_run: Path) -> None:
    arguments = ("--text", "ab", "--measure", "20", "--split", "validation")
    ((head,),) = [
        one["heads"] for one in json.loads(call("visualize", "attention", copy_run, *arguments, "--json").out)
    ]
    assert head["rows"] > 40
    assert head["removal"] > 1
    (same,) = json.loads(
        call("visualize", "heads", copy_run, "--examples", "20", "--split", "validation", "--json").out
    )
    assert head == same


def test_a_page(call: Callable[..., Any], copy_run: Path) -> None:
    arguments = ("--text", "abcd", "--text", "dcb", "--against", copy_run, "-o", "map.html")
    ended = call("visualize", "attention", copy_run, *arguments)
    assert (ended.code, ended.err) == (0, "wrote map.html\n")
    page = Path("map.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.count('type="application/json"') == 2
    assert page.count('"name":"cross"') == 4
    assert "diagonal: it goes along the source" in page


@pytest.mark.parametrize("more", [(), ("--sheet",), ("--sheet", "--words"), ("--kind", "cross")])
def test_two_runs_side_by_side(call: Callable[..., Any], copy_run: Path, more: tuple[str, ...]) -> None:
    arguments = ("--text", "abcd", "--against", copy_run, "-o", "map.svg", "--arrays", "map.npz", *more)
    ended = call("visualize", "attention", copy_run, *arguments)
    assert ended.code == 0
    assert {path.name for path in Path().iterdir()} == {"map.svg", "map-1.npz", "map-2.npz"}
    assert Path("map.svg").read_text().count(f"{copy_run.name}") > 0


def test_heads(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("visualize", "heads", copy_run, "--examples", "20", "-o", "heads.svg")
    assert (ended.code, ended.err) == (0, "wrote heads.svg\n")
    assert "cross" in ended.out
    assert "diagonal: it goes along the source" in ended.out
    assert "rise of the loss without it" in Path("heads.svg").read_text()


def test_heads_as_json(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("visualize", "heads", copy_run, "--examples", "20", "--split", "validation", "--json")
    assert (ended.code, ended.err) == (0, "")
    (head,) = json.loads(ended.out)
    assert head["removal"] > 1  # nothing can be copied without looking
    assert head["dead"] is False
    (plain,) = json.loads(call("visualize", "heads", copy_run, "--examples", "20", "--no-removal", "--json").out)
    assert plain["removal"] is None
    assert plain["dead"] is None


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--split", "dev"], "--split dev"), (["-o", "heads.gif"], "heads.gif")]
)
def test_mistakes_of_heads(call: Callable[..., Any], copy_run: Path, arguments: list[str], said: str) -> None:
    ended = call("visualize", "heads", copy_run, "--examples", "2", "--no-removal", *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_curves_of_two_runs(call: Callable[..., Any], copy_run: Path) -> None:
    for metrics in ([], ["--metrics", "loss,exact_match"]):
        assert call("visualize", "curves", copy_run, copy_run, "-o", "curves.svg", *metrics).code == 0
        assert "exact match" in Path("curves.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(["nowhere"], 3, "nowhere/metrics.jsonl"), (["RUN", "--metrics", "blue"], 2, "exact_match"), ([], 2, "RUN")],
    ids=["no run", "no metric", "nothing"],
)
def test_mistakes_of_curves(
    call: Callable[..., Any], copy_run: Path, arguments: list[str], code: int, said: str
) -> None:
    ended = call("visualize", "curves", *(str(copy_run) if each == "RUN" else each for each in arguments))
    assert ended.code == code
    assert said in ended.err
    assert not Path("curves.png").exists()
