from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from seqcli.errors import RecipeError, StorageError
from seqcli.figures.attention import attention_figure
from seqcli.figures.saving import save_arrays, save_figures


def a_map(source: str = "ab日") -> Figure:
    return attention_figure(np.full((2, len(source)), 1 / len(source)), list(source), list("xy"))


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_picture_is_the_same_bytes(ending: str, tmp_path: Path) -> None:
    first, second = (save_figures([a_map()], tmp_path / f"{name}.{ending}") for name in ("first", "second"))
    assert first == [tmp_path / f"first.{ending}"]
    assert first[0].read_bytes() == second[0].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"first.{ending}", f"second.{ending}"]


def test_a_png_has_two_hundred_dots_to_the_inch(tmp_path: Path) -> None:
    figure = a_map()
    with Image.open(save_figures([figure], tmp_path / "map.png")[0]) as image:
        assert image.size == tuple(int(inches * 200) for inches in figure.get_size_inches())
        image.load()


def test_several_pictures_are_numbered_and_several_pages_are_one_file(tmp_path: Path) -> None:
    figures = [a_map("ab"), a_map("abc"), a_map("abcd")]
    pictures = save_figures(figures, tmp_path / "new" / "folder" / "map.png")
    assert [path.name for path in pictures] == ["map-1.png", "map-2.png", "map-3.png"]
    widths = [Image.open(path).width for path in pictures]
    assert widths == sorted(set(widths))
    (document,) = save_figures(figures, tmp_path / "map.pdf")
    assert len(re.findall(rb"/Type /Page\b", document.read_bytes())) == 3


def test_another_ending_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"map\.jpeg: .*\.png, \.svg or \.pdf"):
        save_figures([a_map()], tmp_path / "map.jpeg")
    with pytest.raises(RecipeError, match=r"\.npz"):
        save_arrays(tmp_path / "map.npy", {}, [], [])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        save_figures([a_map()], tmp_path / "file" / "map.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(StorageError, match="folder.png: cannot be written"):
        save_figures([a_map()], tmp_path / "folder.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


def test_arrays_come_back_without_pickle(tmp_path: Path) -> None:
    weights = np.random.default_rng(1).random((2, 4, 3, 2), dtype=np.float32)
    path = save_arrays(tmp_path / "new" / "maps.npz", {"cross": weights}, ["日", "a b"], ["x", "", "</s>"])
    with np.load(path, allow_pickle=False) as kept:
        assert sorted(kept) == ["cross", "source", "target"]
        assert np.array_equal(kept["cross"], weights)
        assert kept["source"].tolist() == ["日", "a b"]
        assert kept["target"].tolist() == ["x", "", "</s>"]


def test_grids_and_pictures_keep_their_shapes(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    arrays = {
        "image": generator.integers(0, 256, (6, 8, 3), dtype=np.uint8),
        "cross": generator.random((2, 4, 3, 5, 7), dtype=np.float32),
        "text": generator.random((2, 4, 3, 2), dtype=np.float32),
    }
    first, second = (save_arrays(tmp_path / name, arrays, ["what", "?"], list("abc")) for name in ("a.npz", "b.npz"))
    assert first.read_bytes() == second.read_bytes()
    with np.load(first, allow_pickle=False) as kept:
        assert sorted(kept) == ["cross", "image", "source", "target", "text"]
        assert all(
            np.array_equal(kept[name], array) and kept[name].dtype == array.dtype for name, array in arrays.items()
        )


def test_a_fresh_process_without_a_display_says_nothing(tmp_path: Path) -> None:
    code = """
import numpy as np, sys
from pathlib import Path
from seqcli.figures.attention import attention_figure
from seqcli.figures.saving import save_figures
assert "matplotlib" not in sys.modules and "torch" not in sys.modules
figure = attention_figure(np.eye(4), list("日हع𐎠"), list("$_^🙂"), title="$x 日")
save_figures([figure], Path("map.png")), save_figures([figure], Path("map.svg")), save_figures([figure], Path("map.pdf"))
assert "matplotlib.pyplot" not in sys.modules and "torch" not in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert (tmp_path / "map.pdf").stat().st_size > 1000
