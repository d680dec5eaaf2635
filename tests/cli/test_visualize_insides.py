"""`seqcli visualize activations`, `gates` and `embeddings`: pictures, numbers, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_starts_of_a_recipe_side_by_side(call: Callable[..., Any], tiny: tuple[str, ...]) -> None:
    starts = ("--initialization", "normal=0.01", "--initialization", "constant")
    ended = call("visualize", "activations", "copy", *tiny, *starts, "--sentences", "8", "-o", "a.png", "--json")
    assert ended.code == 0
    assert ended.err.endswith("wrote a.png\n")
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(ended.out)
    assert list(told) == ["normal=0.01", "constant"]
    by_name = {one["layer"]: one for one in told["constant"]}
    assert by_name["encoder layer 1 update"]["distinct_units"] == 1
    assert by_name["encoder layer 1 update"]["units"] == 24
    assert len(by_name["encoder layer 1 hidden"]["steps"]["gradients_rms"]) > 2


def test_a_run_beside_its_start_as_a_table(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("visualize", "activations", copy_run, "--sentences", "8", "-o", "a.svg", "--gates", "--dark")
    assert ended.code == 0
    assert "at the start" in ended.out
    assert "average" in ended.out
    assert "48/48" in ended.out


def test_gates_of_a_sentence_and_of_a_split(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("visualize", "gates", copy_run, "-t", "abcd", "--layer", "decoder", "--json", "-o", "g.png")
    assert (ended.code, ended.err) == (0, "wrote g.png\n")
    (one,) = json.loads(ended.out)
    assert [gate["gate"] for gate in one["gates"]] == ["reset", "update"]
    assert one["gates"][0]["symbols"] == ["<s>", "a", "b", "c", "d"]
    assert len(one["gates"][0]["mean"]) == 5
    ended = call("visualize", "gates", copy_run, "--saturation", "20", "--split", "validation", "-o", "s.pdf")
    assert ended.code == 0
    assert "encoder layer 1 backward update" in ended.out
    assert Path("s.pdf").read_bytes().startswith(b"%PDF")


def test_gates_before_training(call: Callable[..., Any], tiny: tuple[str, ...]) -> None:
    arguments = ("-t", "ab", "--target", "ab", "--json", "-o", "g.svg")
    ended = call(
        "visualize", "gates", "copy", *tiny, "model.initialization={weights: zeros, recurrent: zeros}", *arguments
    )
    assert ended.code == 0
    for gate in json.loads(ended.out)[0]["gates"]:
        assert gate["mean"] == [0.5] * len(gate["symbols"])


def test_embeddings_of_both_sides(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("visualize", "embeddings", copy_run, "--words", "a,c", "--neighbours", "2", "--json", "-o", "e.png")
    assert (ended.code, ended.err) == (0, "wrote e.png\n")
    source, target = json.loads(ended.out)
    assert (source["side"], target["side"]) == ("source", "target")
    assert [one["word"] for one in source["words"]] == ["a", "c"]
    assert all(len(one["neighbours"]) == 2 for one in source["words"])
    assert 0 < source["explained"][1] <= source["explained"][0] <= 1
    ended = call("visualize", "embeddings", copy_run, "--side", "target", "-o", "e.svg")
    assert ended.code == 0
    assert "target: " in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("activations", "RUN", "--examples", "4"),
        ("gates", "RUN", "-t", "ab"),
        ("embeddings", "RUN", "--count", "3"),
        ("lengths", "RUN"),
        ("gradients", "copy"),
    ],
)
def test_results_are_printed_before_a_picture_that_cannot_be_written(
    call: Callable[..., Any], copy_run: Path, tiny: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    Path("file").touch()
    more = tiny if "copy" in arguments else ()
    named = (str(copy_run) if one == "RUN" else one for one in arguments)
    ended = call("visualize", *named, *more, "-o", "file/a.svg", "--quiet")
    assert ended.code == 74
    assert ended.err.startswith("file/a.svg: cannot be written")
    assert len(ended.out.splitlines()) > 2, "--quiet is for what is said, not for results"


@pytest.mark.parametrize("command", ["activations", "embeddings", "gates", "gradients", "lengths", "heads", "curves"])
def test_a_name_of_no_picture_is_refused_at_once(call: Callable[..., Any], command: str) -> None:
    more = ("-t", "a") if command == "gates" else ()
    ended = call("visualize", command, "nowhere", *more, "-o", "a.gif")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "a.gif: a picture is written as .png, .svg or .pdf; its name must end in one of these\n"


@pytest.mark.parametrize(
    "arguments", [("visualize", "attention", "-t", "a"), ("explain", "-t", "a"), ("compare",)], ids=" ".join
)
def test_so_it_is_elsewhere(call: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    ended = call(*arguments, "nowhere", "-o", "a.jpg")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("a.jpg: a picture is written as .png, .svg or .pdf")


def test_and_one_of_no_arrays(call: Callable[..., Any]) -> None:
    ended = call("visualize", "attention", "nowhere", "-t", "a", "--arrays", "a.txt", "--json")
    assert (ended.code, ended.err) == (2, "a.txt: arrays are written as .npz; the name must end in it\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("activations", "RUN", "--initialization", "normal"), 2, "--initialization and --steps are for recipes"),
        (("activations", "copy", "--checkpoint", "best"), 2, "is a recipe, which has no checkpoints"),
        (("activations", "copy", "--initialization", "glorot"), 2, "glorot"),
        (("activations", "nothing"), 2, "nothing"),
        (("gates", "RUN"), 2, "give --text SENTENCE, or --saturation N"),
        (("gates", "RUN", "-t", "a", "--target", "a", "--target", "b"), 2, "1 sources, but 2 times --target"),
        (("gates", "RUN", "-t", "a", "--layer", "middle"), 2, "no gate is called middle"),
        (("gates", "RUN", "--saturation", "3", "--split", "dev"), 2, "there are train, validation and test"),
        (("embeddings", "RUN", "--side", "left"), 2, "there are source, target and both"),
        (("embeddings", "RUN", "--words", "z"), 2, "the source's vocabulary has no such symbol"),
    ],
)
def test_what_is_refused(
    call: Callable[..., Any], copy_run: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = call("visualize", *(str(copy_run) if one == "RUN" else one for one in arguments))
    assert ended.code == code
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert list(Path().iterdir()) == []
