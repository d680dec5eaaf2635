"""Faults planted into a sound data set, of every kind that data sets met in the wild have, before any detector was tuned on them.

A data set is three splits of rows, each a pair of bytes, since some faults are no text. What is planted is told by split and row.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Row = tuple[bytes, bytes]
Splits = dict[str, list[Row]]


@dataclass(frozen=True)
class Planted:
    """A fault that was planted: its kind's name here, and the row, from 0, where it is."""

    kind: str
    split: str
    row: int


Texts = tuple[str, str]
Spoil = Callable[[random.Random, Texts, Texts], Texts]
"""A sound pair, and another one, → the spoilt pair."""


def _mojibake(text: str, codec: str) -> str:
    """What UTF-8 looks like that was read in an older encoding; bytes that it has no characters for are control characters then."""
    return "".join(
        bytes([byte]).decode(codec) if codec != "cp1252" or byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(byte)
        for byte in text.encode()
    )


def _with_accent(text: str) -> str:
    """The text with at least one letter that is a letter and an accent (ß is not)."""
    return text if not unicodedata.is_normalized("NFD", text) else text.replace("e", "é", 1) + " café"


def _inside(chance: random.Random, text: str, what: str) -> str:
    place = chance.randrange(1, max(2, len(text)))
    return text[:place] + what + text[place:]


def _looped(chance: random.Random, text: str) -> str:
    words = text.split()
    place = chance.randrange(len(words))
    return " ".join([*words[:place], *[words[place]] * chance.randint(5, 9), *words[place + 1 :]])


def _without_accents(text: str) -> str:
    """What is left when a programme writes ? for every letter that it does not know."""
    spoilt = "".join("?" if ord(each) > 127 else each for each in _with_accent(text))
    return spoilt if "?" in spoilt.strip("?") else spoilt.replace("é", "?")


SPOIL: dict[str, Spoil] = {
    "empty source": lambda _, pair, other: ("", pair[1]),
    "empty target": lambda _, pair, other: (pair[0], ""),
    "blank target": lambda chance, pair, other: (pair[0], chance.choice(["   ", "\u00a0", "\u3000 "])),
    "only marks": lambda chance, pair, other: (pair[0], chance.choice(["-", "...", "?", "—"])),
    "swapped": lambda _, pair, other: (pair[1], pair[0]),
    "untranslated": lambda _, pair, other: (pair[0], pair[0]),
    "target in the source's language": lambda _, pair, other: (pair[0], other[0]),
    "source in the target's language": lambda _, pair, other: (other[1], pair[1]),
    "cut target": lambda _, pair, other: (f"{pair[0]} {other[0]}", " ".join(pair[1].split()[:2])),
    "cut source": lambda _, pair, other: (" ".join(pair[0].split()[:2]), f"{pair[1]} {other[1]}"),
    "run-on target": lambda _, pair, other: (pair[0], " ".join([pair[1], other[1], pair[1], other[1]])),
    "mojibake of cp1252": lambda _, pair, other: (_mojibake(_with_accent(pair[0]), "cp1252"), pair[1]),
    "mojibake of latin-1": lambda _, pair, other: (pair[0], _mojibake(_with_accent(pair[1]), "latin-1")),
    "mojibake twice": lambda _, pair, other: (_mojibake(_mojibake(_with_accent(pair[0]), "cp1252"), "cp1252"), pair[1]),
    "mojibake of quotes": lambda chance, pair, other: (pair[0], _mojibake(_inside(chance, pair[1], "’"), "cp1252")),
    "replacement": lambda chance, pair, other: (_inside(chance, pair[0], "\ufffd"), pair[1]),
    "control": lambda chance, pair, other: (pair[0], _inside(chance, pair[1], chance.choice("\x00\x07\x08\x1b\x7f\x85"))),
    "carriage return": lambda chance, pair, other: (_inside(chance, pair[0], "\r"), pair[1]),
    "invisible": lambda chance, pair, other: (pair[0], _inside(chance, pair[1], chance.choice("\u200b\ufeff\u2028"))),
    "decomposed": lambda _, pair, other: (unicodedata.normalize("NFD", _with_accent(pair[0])), pair[1]),
    "entity": lambda chance, pair, other: (pair[0], _inside(chance, pair[1], chance.choice(["&amp;", "&#39;", "&quot;", "&nbsp;"]))),
    "tag": lambda chance, pair, other: (_inside(chance, pair[0], chance.choice(["<br>", "<b>", "</p>", "<br />"])), pair[1]),
    "lost letters": lambda _, pair, other: (_without_accents(pair[0]), pair[1]),
    "loop": lambda chance, pair, other: (pair[0], _looped(chance, pair[1])),
}  # fmt: skip
"""Faults of one row by itself."""

COPIES = (
    "duplicate pair",
    "duplicate but for case and marks",
    "source again with another target",
    "test pair in training",
    "test source in training",
)
"""Faults of two rows: what is planted is a row more, at the end of training."""

KINDS = (*SPOIL, "bytes that are not UTF-8", *COPIES)


def plant(splits: Splits, seed: int, count: int) -> list[Planted]:
    """Plant `count` faults into the splits, all kinds in turn, each into a row of its own; all but copies one in four outside training."""
    chance = random.Random(seed)
    free = {split: chance.sample(range(len(rows)), len(rows)) for split, rows in splits.items()}
    planted = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        split = "train" if kind in COPIES or chance.random() < 0.75 else chance.choice(("validation", "test"))
        if kind in COPIES:
            other = splits["train"][free["train"].pop()]
            row = splits["test" if kind.startswith("test") else "train"][
                free["test" if kind.startswith("test") else "train"].pop()
            ]
            splits["train"].append(_copied(kind, row, other))
            planted.append(Planted(kind, "train", len(splits["train"]) - 1))
            continue
        place, other_place = free[split].pop(), free[split].pop()
        pair, other_pair = splits[split][place], splits[split][other_place]
        splits[split][place] = _spoilt(chance, kind, pair, other_pair)
        planted.append(Planted(kind, split, place))
    return planted


def _spoilt(chance: random.Random, kind: str, pair: Row, other: Row) -> Row:
    source, target = pair[0].decode(), pair[1].decode()
    if kind == "bytes that are not UTF-8":
        return (_with_accent(source).encode("latin-1", "replace"), pair[1])
    spoilt = SPOIL[kind](chance, (source, target), (other[0].decode(), other[1].decode()))
    return spoilt[0].encode(), spoilt[1].encode()


def _copied(kind: str, row: Row, other: Row) -> Row:
    if kind == "duplicate but for case and marks":
        source, target = row[0].decode(), row[1].decode()
        return f"{source.upper()} !".encode(), f" {target.title()}".encode()
    if kind in ("source again with another target", "test source in training"):
        return (row[0], other[1])
    return row


FOUND_AS: dict[str, set[str]] = {
    "empty source": {"empty"},
    "empty target": {"empty"},
    "blank target": {"empty"},
    "only marks": {"marks"},
    "swapped": {"swapped"},
    "untranslated": {"copied"},
    "target in the source's language": {"target_language"},
    "source in the target's language": {"source_language"},
    "cut target": {"length"},
    "cut source": {"length"},
    "run-on target": {"length", "repetition"},
    "mojibake of cp1252": {"mojibake"},
    "mojibake of latin-1": {"mojibake"},
    "mojibake twice": {"mojibake"},
    "mojibake of quotes": {"mojibake"},
    "replacement": {"replacement"},
    "control": {"control"},
    "carriage return": {"control"},
    "invisible": {"invisible"},
    "decomposed": {"normalization"},
    "entity": {"entity"},
    "tag": {"markup"},
    "lost letters": {"lost_letters"},
    "loop": {"repetition"},
    "bytes that are not UTF-8": {"bytes"},
    "duplicate pair": {"duplicate"},
    "duplicate but for case and marks": {"near_duplicate"},
    "source again with another target": {"several_targets"},
    "test pair in training": {"leaked_pair"},
    "test source in training": {"leaked_source"},
}
"""What each kind is to be called when it is found."""


def write_text(splits: Splits, folder: Path, names: dict[str, tuple[str, str]]) -> None:
    """Write the splits as two files each, by the names given for both sides."""
    for split, rows in splits.items():
        for side, name in enumerate(names[split]):
            (folder / name).write_bytes(b"".join(row[side] + b"\n" for row in rows))
