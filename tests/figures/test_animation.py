from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seqcli.errors import RecipeError, StorageError
from seqcli.figures.animation import save_animation

GREY = np.full((20, 20), 128, dtype=np.uint8)
WORDS = ["up", "down", "down"]


def maps() -> NDArray[np.float64]:
    """First all at the top, then twice all at the bottom."""
    weights = np.zeros((3, 4, 2))
    weights[0, 0], weights[1, 3], weights[2, 3] = 0.5, 0.5, 0.5
    return weights


def frames_of(path: Path) -> tuple[list[NDArray[np.int64]], list[int]]:
    frames, durations = [], []
    with Image.open(path) as animation:
        for number in range(animation.n_frames):  # type: ignore[attr-defined]
            animation.seek(number)
            frames.append(np.asarray(animation.convert("RGB")).astype(np.int64))
            durations.append(animation.info["duration"])
    return frames, durations


@pytest.mark.parametrize("dark", [False, True])
def test_there_is_a_frame_a_word_and_the_last_stays(dark: bool, tmp_path: Path) -> None:
    path = save_animation(tmp_path / "new" / "look.gif", GREY, maps(), WORDS, dark=dark, title="three words")
    frames, durations = frames_of(path)
    assert durations == [800, 800, 2400]
    redness = [frame[..., 0] - frame[..., 2] for frame in frames]
    picture = [each[80:560, 50:450] for each in redness]  # what is well inside it
    assert picture[0][:50].mean() > 100 > 10 > picture[0][-50:].mean()
    assert picture[1][-50:].mean() > 100 > 10 > picture[1][:50].mean()
    # The same map twice is still two frames: the mark below has moved on.
    assert np.abs(picture[1] - picture[2]).mean() < 2
    assert (frames[1] != frames[2]).any()


def test_the_same_animation_is_the_same_bytes(tmp_path: Path) -> None:
    first, second = (save_animation(tmp_path / name, GREY, maps(), WORDS) for name in ("first.gif", "second.gif"))
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.gif", "second.gif"]


def test_one_word_with_a_question_is_one_frame(tmp_path: Path) -> None:
    question = ["up", "or", "down", "?"]
    part = {"context_weights": np.array([[0.1, 0.0, 0.4, 0.0]]), "context_words": question}
    path = save_animation(tmp_path / "answer.gif", GREY, maps()[:1], ["up"], **part)  # type: ignore[arg-type]
    frames, durations = frames_of(path)
    plain, _ = frames_of(save_animation(tmp_path / "plain.gif", GREY, maps()[:1], ["up"]))
    assert durations == [2400]
    assert len(frames) == 1
    assert frames[0].shape[0] > plain[0].shape[0]  # the question has its place


def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"look\.png: .*\.gif"):
        save_animation(tmp_path / "look.png", GREY, maps(), WORDS)
    with pytest.raises(ValueError, match="with 1 words"):
        save_animation(tmp_path / "look.gif", GREY, maps(), ["up"])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        save_animation(tmp_path / "file" / "look.gif", GREY, maps(), WORDS)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
