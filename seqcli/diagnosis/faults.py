"""The kinds of faults: what each means, what helps, and what a cleaned copy does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["remove", "mend", "keep"]
Side = Literal["source", "target", "pair"]

USUAL = 0.1
"""A kind of fault that more than this share of a split's rows have is taken for the nature of the data, and told once."""
NEVER_USUAL = ("unreadable", "bytes", "empty")
"""Kinds that are faults however many rows have them: nobody means them, and training refuses the file or passes the rows over."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it `means`, its `remedy`, and whether a cleaned copy removes the row, mends it or keeps it.

    What is kept may well be right, and is a remark rather than a fault.
    """

    means: str
    remedy: str
    action: Action


KINDS: dict[str, Kind] = {
    "unreadable": Kind("the row cannot be read", "mend or remove the row", "remove"),
    "bytes": Kind("bytes that are not UTF-8", "convert the line from its encoding, as with iconv -t UTF-8", "remove"),
    "empty": Kind("nothing on one side", "remove the pair, or fill it in", "remove"),
    "marks": Kind("no letter or digit on one side", "remove the pair", "remove"),
    "duplicate": Kind("the same pair again", "keep one of them", "remove"),
    "near_duplicate": Kind("the same pair but for case, spaces or outer marks", "keep one of them", "remove"),
    "leaked_pair": Kind("a pair of validation or test in training", "remove it from training", "remove"),
    "leaked_source": Kind("a source of validation or test in training", "remove it from training", "remove"),
    "several_targets": Kind("the same source with another target", "see whether both are right", "keep"),
    "swapped": Kind("the sides look exchanged", "exchange or remove them", "remove"),
    "source_language": Kind("the source looks like a target", "translate or remove the pair", "remove"),
    "target_language": Kind("the target looks like a source", "translate or remove the pair", "remove"),
    "copied": Kind("both sides are the same", "translate or remove the pair", "remove"),
    "length": Kind("one side is far too long for the other", "see whether a part is missing, or remove the pair", "remove"),
    "repetition": Kind("the same words over and over", "remove the pair", "remove"),
    "mojibake": Kind("UTF-8 that was read in another encoding", "decode it anew", "mend"),
    "replacement": Kind("a character that was lost to a wrong encoding", "take the text from its origin anew", "remove"),
    "lost_letters": Kind("? where a letter was", "take the text from its origin anew", "remove"),
    "control": Kind("a control character", "remove the character", "mend"),
    "invisible": Kind("an invisible character", "remove the character", "mend"),
    "normalization": Kind("another Unicode normalization form than the rest", "set normalize: nfc for the side", "mend"),
    "entity": Kind("an HTML entity that was not unescaped", "unescape it", "mend"),
    "markup": Kind("an HTML tag", "remove the tag", "mend"),
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A fault: its `kind`, the row from 0 of its split, the file and line where it stands, the side it is on, and what is to be seen there."""

    kind: str
    split: str
    row: int
    file: str
    line: int
    side: Side
    value: str

    def as_json(self) -> dict[str, object]:
        """The fault with its meaning and remedy."""
        known = KINDS[self.kind]
        place = {"split": self.split, "file": self.file, "line": self.line, "side": self.side}
        return {"fault": self.kind, **place, "value": self.value, "means": known.means, "remedy": known.remedy}
