"""What wrong encodings and half-done conversions leave in a text, and how it is mended where it can be."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from seqcli.errors import printable

Finding = tuple[str, str]
"""The kind of a fault, and the place where it is to be seen."""

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\x7f-\x9f]")
INVISIBLE = re.compile("[\u00ad\u200b\u2028\u2029\u202a-\u202e\u2060-\u2064\ufeff\ufff9-\ufffb]")
UNUSUAL = re.compile(f"{CONTROL.pattern[:-1]}\ufffd{INVISIBLE.pattern[1:]}")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
TAG = re.compile(r"</?(?:a|b|br|div|em|font|h[1-6]|hr|i|img|li|p|pre|span|strong|sub|sup|table|td|th|tr|u|ul)(?:\s[^<>]*)?/?>", re.I)  # fmt: skip
LOST = re.compile(r"(?:(?<=[^\W\d_])|(?<!\S))\?+(?=[^\W\d_])")
"""A question mark before a letter, and within a word or at its beginning."""

SEQUENCE = re.compile(b"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""The bytes of one character beyond ASCII in UTF-8."""
FOREIGN = re.compile(r"[^\x00-\x7f]{2,}")
WESTERN = re.compile(
    "[\u00a0-\u017f\u2010-\u2044\u20ac\u2122\u0192\u02c6\u02dc\u0178\u2190-\u2193\u2713\u2022\ufb01\ufb02]+"
)
"""What most text in an older Western encoding is about, and what twice misread text is made of."""
SHOWN = 16  # characters to either side


def findings(text: str) -> Iterator[Finding]:
    """The faults of a text by itself, one of a kind; mixed normalization forms, which need the others, are `form`'s."""
    misread = None
    if not text.isascii():
        misread = next(misread_parts(text), None)
        if misread is not None:
            yield "mojibake", around(text, *misread[:2])
    if unusual := UNUSUAL.search(text):
        if "\ufffd" in text:
            yield "replacement", around(text, text.index("\ufffd"), text.index("\ufffd") + 1)
        # the second half of a misread letter is often a control character
        if misread is None and (found := CONTROL.search(text)):
            yield "control", f"U+{ord(found[0]):04X} in {around(text, *found.span())}"
        if found := INVISIBLE.search(text, unusual.start()):
            yield "invisible", f"U+{ord(found[0]):04X} in {around(text, *found.span())}"
    if "&" in text and (found := next(_entities(text), None)):
        yield "entity", around(text, *found.span())
    if "<" in text and (found := TAG.search(text)):
        yield "markup", around(text, *found.span())
    if "?" in text and (found := LOST.search(text)) and "://" not in text:
        yield "lost_letters", around(text, *found.span())


def mended(text: str, kinds: set[str], form: str | None = None) -> str:
    """The text without its faults of these kinds: misread letters decoded, entities unescaped (as often as they were escaped), what is not to
    be seen and tags removed, and in the normalization `form` that the rest of its side has. A text without such faults stays as it is."""
    if "mojibake" in kinds:
        while parts := list(misread_parts(text)):
            for start, end, meant in reversed(parts):
                text = text[:start] + meant + text[end:]
    if "entity" in kinds:
        while (unescaped := ENTITY.sub(lambda found: html.unescape(found[0]), text)) != text:
            text = unescaped
    if "markup" in kinds and TAG.search(text):
        text = " ".join(TAG.sub(" ", text).split())
    if "control" in kinds:
        text = CONTROL.sub("", text)
    if "invisible" in kinds:
        text = INVISIBLE.sub(lambda found: " " if found[0] in "\u2028\u2029" else "", text)
    if "normalization" in kinds and form is not None:
        text = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    return text


def form(text: str) -> str | None:
    """The one of NFC and NFD that a text is in; "mixed" if it is in neither, None where they do not differ."""
    if text.isascii():
        return None
    composed, decomposed = unicodedata.is_normalized("NFC", text), unicodedata.is_normalized("NFD", text)
    if composed and decomposed:
        return None
    return "NFC" if composed else "NFD" if decomposed else "mixed"


def misread_parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Where UTF-8 was read as cp1252 or latin-1, as Mac Roman, cp437 or cp1251: start, end, and the letter that was meant.

    A letter of UTF-8 has two to four bytes, and each of them was read as a letter or sign of its own: ä as Ã¤. Sound text may have such
    letters side by side too. So a letter that stands alone counts only if Western text has it, and if what its first byte was read as, the
    Ã, does not belong to a word in capitals (ÉCOLÉ», see `_after_capitals`). Other letters count if two or more follow each other.
    """
    for run in FOREIGN.finditer(text):
        for codec in ("cp1252", "mac_roman", "cp437", "cp1251"):
            table = _table(codec)
            data = bytes(table.get(character, 0xFF) for character in run[0])
            found = list(_plausible(text, run.start(), data, codec))
            if found:
                yield from found
                break


def _plausible(text: str, offset: int, data: bytes, codec: str) -> Iterator[tuple[int, int, str]]:
    matches = [match for match in SEQUENCE.finditer(data) if _decodes(match[0])]
    starts, ends = {match.start() for match in matches}, {match.end() for match in matches}
    for match in matches:
        meant = match[0].decode()
        start, end = offset + match.start(), offset + match.end()
        several = match.start() in ends or match.end() in starts
        alone = codec != "cp1251" and WESTERN.fullmatch(meant) and not _after_capitals(text, start, meant)
        # one misread letter of mac_roman or cp437 starts with a sign that no word has
        if (alone and (codec == "cp1252" or not text[start].isalpha())) or (several and meant.isalpha()):
            yield start, end, meant


def _after_capitals(text: str, place: int, meant: str) -> bool:
    """Whether the capital at `place` belongs to a word in capitals, and is no first byte of the letter `meant`: where two capitals stand
    before it (ÉCOLÉ»), or one does and `meant` is no letter from À to ÿ, as words have them inside (GÅ” would be GŔ). JÃ¤ger is Jäger."""
    before = text[max(0, place - 2) : place]
    return before[-1:].isupper() and (
        (before.isalpha() and before.isupper() and len(before) == 2) or not "À" <= meant <= "ÿ"
    )


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(maxsize=8)
def _table(codec: str) -> dict[str, int]:
    """The bytes of an encoding's characters beyond ASCII; for cp1252 those of latin-1 too."""
    table = {bytes([byte]).decode(codec): byte for byte in range(128, 256) if _defined(codec, byte)}
    return {chr(byte): byte for byte in range(128, 256)} | table if codec == "cp1252" else table


def _defined(codec: str, byte: int) -> bool:
    try:
        bytes([byte]).decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _entities(text: str) -> Iterator[re.Match[str]]:
    """The entities that stand for a character."""
    return (match for match in ENTITY.finditer(text) if html.unescape(match[0]) != match[0])


def around(text: str, start: int, end: int) -> str:
    """A place of a text with what stands to either side, without what would steer a terminal."""
    before, after = max(0, start - SHOWN), end + SHOWN
    shown = ("…" if before else "") + text[before:after] + ("…" if after < len(text) else "")
    return printable(shown)
