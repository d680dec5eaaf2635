"""`seqcli visualize`: pictures and arrays of what a model looked at, and of how it learnt."""

from __future__ import annotations

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
    monkeypatch.setattr("seqcli.evaluation.translator.LONGEST_SOURCE", 20)
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
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(call: Callable[..., Any], copy_run: Path, arguments: list[str], code: int, said: str) -> None:
    Path("file").touch()
    ended = call("visualize", "attention", copy_run, *arguments)
    assert ended.code == code
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
