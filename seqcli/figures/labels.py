"""Labels: what white space and lone marks look like, how wide a label is, and running text with a colour behind each word."""

from __future__ import annotations

import unicodedata

VISIBLE = str.maketrans({" ": "␣", "\t": "⇥", "\n": "↵"})


def visible(symbol: str) -> str:
    """The symbol with its white space drawn, and a combining mark that stands alone on a dotted circle."""
    mark_alone = symbol and unicodedata.category(symbol[0])[0] == "M"
    return ("\N{DOTTED CIRCLE}" if mark_alone else "") + symbol.translate(VISIBLE)


def letters_wide(label: str) -> int:
    """How wide a label is, in Latin letters: two for a letter of East Asia, none for an accent."""
    return sum(
        0 if unicodedata.category(each)[0] == "M" else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in label
    )
