"""The four symbols that every vocabulary starts with, and the `Example` that data is read into. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""A place in an image: its left, top, right and bottom edges, as shares of the whole width and height."""

Image = Union[bytes, str, NDArray[Any]]
"""An image that is a source: an encoded file's bytes, the path of a file, pixels `uint8 (C,h,w)`, or a grid of features computed
beforehand, `float32 (rows,columns,D)`."""

PAD, BOS, EOS, UNK = 0, 1, 2, 3
NOT_THERE = -1
"""What stands for a symbol of the other side where that has none."""
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")


class Link(NamedTuple):
    """That what stands at place `source` of a source becomes what stands at place `target` of a target, both counted from 0; surely, or
    possibly, where it cannot be said which place it is (Och & Ney 2003, "A systematic comparison of various statistical alignment
    models", section 5)."""

    source: int
    target: int
    sure: bool = True


@dataclass(frozen=True)
class Example:
    """One pair: `target` is None where only a source is known; `origin` says where it came from ("file:line").

    `source` is a text, empty where the source is an image alone. `features` are tags that the source carries beside its text (for
    inflection: `V`, `PST`, …), each one symbol. `image` is a picture to look at. `references` are all the targets that would be right, as
    several people wrote them, `target` among them; empty where `target` is the only one. `group` is the kind of example that scores
    are told apart by (a question's type). `boxes` are where in the image the things are that the target names: one for each
    symbol that the target's tokenizer splits it into, None for a symbol that names nothing to be seen; empty where none are known.
    `links` say which character of the source becomes which character of the target, where that is known exactly; a character of the
    target without any comes from nothing in the source.
    """

    source: str
    target: str | None
    index: int
    origin: str
    features: tuple[str, ...] = ()
    image: Image | None = None
    references: tuple[str, ...] = ()
    group: str = ""
    boxes: tuple[Box | None, ...] = ()
    links: tuple[Link, ...] = ()
