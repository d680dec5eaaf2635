"""Fonts for labels in any script: which of those installed to use, and which packages would fill a gap.

matplotlib sets each character in the first font of a list that has it. DejaVu Sans comes with matplotlib and has Latin, Greek,
Cyrillic, Arabic, Hebrew and the phonetic alphabet; the rest is looked for among Noto's fonts and those of other systems.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

BASE = "DejaVu Sans"
EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")
EAST_ASIAN_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK",
    "Hiragino Sans",
    "Yu Gothic",
    "Malgun Gothic",
    "Microsoft YaHei",
)
OTHER_FONTS = ("Noto Sans Symbols", "Noto Sans Math", "Symbola", "Nirmala UI", "Arial Unicode MS")


def font_families(texts: Iterable[str]) -> list[str]:
    """The installed families that have the characters of `texts` between them, in the order in which to try them."""
    families = [BASE]
    for character in _drawn(texts):
        if not any(_has(family, character) for family in families):
            found = [family for beginning in _candidates(character) for family in _installed(beginning)]
            families += [family for family in found if _has(family, character)][:1]
    return families


def missing_fonts(texts: Iterable[str]) -> list[str]:
    """The Debian packages of fonts that would draw those characters of `texts` that no font here can; [] if all is well."""
    characters = _drawn(texts)
    families = font_families(characters)
    return sorted({_package(each) for each in characters if not any(_has(family, each) for family in families)})


def _drawn(texts: Iterable[str]) -> Sequence[str]:
    """The distinct characters that leave ink, in a fixed order."""
    return sorted(each for each in set().union(*texts) if unicodedata.category(each)[0] not in "CZ")


def _script(character: str) -> str:
    """The first word of the character's Unicode name, which for letters is the name of their script: DEVANAGARI, THAI, …"""
    return unicodedata.name(character, "UNKNOWN").split()[0].split("-")[0]


def _candidates(character: str) -> Sequence[str]:
    """What the name of a font with this character may begin with, best first."""
    script = _script(character)
    return EAST_ASIAN_FONTS if script in EAST_ASIAN else (f"Noto Sans {script.title()}", *OTHER_FONTS)


def _package(character: str) -> str:
    if _script(character) in EAST_ASIAN:
        return "fonts-noto-cjk"
    return "fonts-symbola" if unicodedata.category(character) == "So" else "fonts-noto-core"


@lru_cache(maxsize=4096)
def _has(family: str, character: str) -> bool:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return bool(get_font(findfont(FontProperties(family=[family]))).get_char_index(ord(character)))


@lru_cache(maxsize=256)
def _installed(beginning: str) -> list[str]:
    """The families here whose names begin so.

    matplotlib keeps a list of fonts from its first run and never renews it: a font installed since is added by hand.
    """
    from matplotlib import font_manager

    def known() -> list[str]:
        return sorted(name for name in font_manager.get_font_names() if name.startswith(beginning))

    if not known():
        stem = beginning.removesuffix(" JP").replace(" ", "")
        for path in map(Path, font_manager.findSystemFonts()):
            if path.stem.startswith(stem) and path.stem.endswith("-Regular"):
                font_manager.fontManager.addfont(path)
    return known()
