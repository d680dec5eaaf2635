"""`seqcli explain`: on the terminal, as JSON, as pictures and pages, over texts and images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_on_the_terminal(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("explain", copy_run, "--text", "abcd", "--beam-size", "2")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "abcd"
    assert lines[1].strip() == "→ a b c d </s>"
    assert [line for line in lines if line.startswith("token ")]
    assert "looks at" in ended.out
    assert "✂" in ended.out
    assert "├── a 100%" in ended.out.split("beam:")[1]
    assert "1: −" in ended.out


def test_json(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call(
        "explain", copy_run, "-t", "ab", "-t", "cd", "--target", "ab", "--target", "dd", "--json", "--alternatives", "2"
    )
    first, second = json.loads(ended.out)
    assert (first["target"], second["target"]) == ("ab", "dd")
    assert first["verdict"] == "the search finds it: it is the best hypothesis"
    assert second["tokens"][0]["rank"] > 1
    assert [len(token["alternatives"]) for token in first["tokens"]] == [2, 2, 2]
    assert first["beam"][0]["parent"] is None


@pytest.mark.parametrize("name", ["tree.png", "tree.svg", "tree.pdf", "tree.html"])
def test_pictures(call: Callable[..., Any], copy_run: Path, name: str) -> None:
    ended = call("explain", copy_run, "-t", "abc", "-o", name, "--dark", "--beam-size", "3")
    assert (ended.code, ended.err) == (0, f"wrote {name}\n")
    beginnings = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF-", ".html": b"<!DOCTYPE html>"}
    assert Path(name).read_bytes().startswith(beginnings[Path(name).suffix])


def test_several_pages(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("explain", copy_run, "-t", "abc", "-t", "b", "-o", "deep/tree.html")
    assert ended.err == "wrote deep/tree-1.html\nwrote deep/tree-2.html\n"


def test_what_cannot_be_explained(call: Callable[..., Any], copy_run: Path) -> None:
    for arguments, message in (
        ((), "nothing to explain; give --text SENTENCE or --image FILE\n"),
        (("-t", "a", "--target", "a", "--target", "b"), "1 sources, but 2 times --target; give one for each\n"),
        (
            ("-t", "a", "-o", "tree.txt"),
            "tree.txt: a picture is written as .png, .svg or .pdf; its name must end in one of these\n",
        ),
        (("--image", "x.png"), "this run reads no images\n"),
    ):
        ended = call("explain", copy_run, *arguments)
        assert ended.code in (2, 3)
        assert ended.err == message


@pytest.fixture(scope="module")
def caption_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run of two steps that reads images."""
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    overrides = ["data.examples=64", "training.steps=2", "training.epochs=null", "training.batch_tokens=256", "training.validate_every=2",
                 "training.checkpoint_every=2", "training.average=1", "threads=1"]  # fmt: skip
    folder = tmp_path_factory.mktemp("runs") / "captions"
    experiment = prepare(load_recipe("vision/shapes-caption", overrides), folder)
    list(experiment.train())
    return folder


def test_an_image(call: Callable[..., Any], caption_run: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("x.png")
    ended = call("explain", caption_run, "--image", "x.png", "--target", "a red circle", "--json")
    assert ended.code == 0, ended.err
    (found,) = json.loads(ended.out)
    looks = [look for token in found["tokens"] for look in token["looks"]]
    assert looks
    assert all(look["word"].startswith("row ") for look in looks)
