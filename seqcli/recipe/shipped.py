"""The recipes that come with seqcli."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Header(NamedTuple):
    """What the comment at the top of a recipe says of it."""

    description: str
    expected: str


def shipped_folder() -> Path:
    """The folder of shipped recipes: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Name → file, by name; the name is the path below the folder without its ending, as in `multi30k/transformer`."""
    folder = shipped_folder()
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.yaml"))}


def read_header(file: Path) -> Header:
    """The first line of the comment at the top, and what stands there behind `expected:`, with the lines below that are set in further."""
    comments = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comments.append(line.removeprefix("#").rstrip())
    expected: list[str] = []
    for line in comments:
        if line.lstrip().startswith("expected:"):
            expected = [line.lstrip().removeprefix("expected:").strip()]
        elif expected and line.startswith("  "):
            expected.append(line.strip())
        elif expected:
            break
    return Header(comments[0].strip() if comments else "", " ".join(expected))
