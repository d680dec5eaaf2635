"""The four symbols that every vocabulary starts with, and the `Example` that data is read into. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")


@dataclass(frozen=True)
class Example:
    """One pair as text: `target` is None where only a source is known; `origin` says where it came from ("file:line").

    `features` are tags that the source carries beside its text (for inflection: `V`, `PST`, …), each one symbol.
    """

    source: str
    target: str | None
    index: int
    origin: str
    features: tuple[str, ...] = ()
