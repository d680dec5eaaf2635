"""Figures and arrays on disk: whole or not at all, and the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqcli.errors import RecipeError
from seqcli.figures.style import DPI, without_glyph_warnings
from seqcli.storage import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# No dates, and names within an SVG that do not depend on chance, so that a picture made twice is the same file.
NO_DATE: dict[str, dict[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
REPRODUCIBLE: dict[Any, object] = {"svg.hashsalt": "seqcli"}


def save_figures(figures: Sequence[Figure], path: Path) -> list[Path]:
    """Write `figures` as the ending of `path` says, .png, .svg or .pdf, and return the files.

    A PDF takes them all, a page each. One figure in another format goes to `path` itself, several to name-1.png, name-2.png
    and so on. Missing folders are made. RecipeError for another ending, StorageError if the files cannot be written.
    """
    ending = picture_ending(path)
    if ending == "pdf":
        return [_written(path, _pdf(figures))]
    files = numbered(path, len(figures))
    return [_written(file, _picture(figure, ending)) for file, figure in zip(files, figures, strict=True)]


def picture_ending(path: Path) -> str:
    """The kind of picture that a name asks for: png, svg or pdf. RecipeError for another ending."""
    ending = path.suffix.lower().removeprefix(".")
    if ending not in NO_DATE:
        raise RecipeError(f"{path}: a picture is written as .png, .svg or .pdf; its name must end in one of these")
    return ending


def numbered(path: Path, count: int) -> list[Path]:
    """The names of `count` files: `path` itself if it is one, else name-1, name-2 and so on."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def save_arrays(path: Path, maps: Mapping[str, NDArray[Any]], source: Sequence[str], target: Sequence[str]) -> Path:
    """Write the arrays in `maps`, under their names, and the labels as `source` and `target` into one .npz file.

    Of a text these are `cross (L,H,T,S)`, `encoder` and `decoder`; of an image `image (h,w,3)`, `cross (L,H,T,rows,columns)`, and
    `text (L,H,T,S)` where a text was read beside it, whose symbols `source` are then. Each comes back with its shape and type.
    It is read with `numpy.load`, without pickle. RecipeError for another ending, StorageError if it cannot be written.
    """
    check_arrays(path)
    content = io.BytesIO()
    arrays: dict[str, Any] = {**maps, "source": np.array(source, dtype=str), "target": np.array(target, dtype=str)}
    np.savez_compressed(content, **arrays)
    return _written(path, content.getvalue())


def check_arrays(path: Path) -> None:
    """RecipeError for a name that does not end as one of arrays does."""
    if path.suffix.lower() != ".npz":
        raise RecipeError(f"{path}: arrays are written as .npz; the name must end in it")


def _picture(figure: Figure, ending: str) -> bytes:
    import matplotlib

    content = io.BytesIO()
    with matplotlib.rc_context(REPRODUCIBLE), without_glyph_warnings():
        figure.savefig(content, format=ending, dpi=DPI, metadata=NO_DATE[ending])
    return content.getvalue()


def _pdf(figures: Sequence[Figure]) -> bytes:
    from matplotlib.backends.backend_pdf import PdfPages

    content = io.BytesIO()
    with without_glyph_warnings(), PdfPages(content, metadata=NO_DATE["pdf"]) as pages:
        for figure in figures:
            pages.savefig(figure)
    return content.getvalue()


def _written(path: Path, content: bytes) -> Path:
    write_file(path, content)
    return path
