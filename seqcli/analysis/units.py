"""What the numbers of an alignment count: the words of a text, or its characters, each made of some of the tokenizer's symbols."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import accumulate

from seqcli.data.splitting import CAPITAL, MarkedCapitals
from seqcli.data.subwords import SPACE
from seqcli.data.tokenizer import Tokenizer
from seqcli.data.vocabulary import VocabularyTokenizer
from seqcli.errors import DataError, printable

Span = tuple[int, int]
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def text_spans(tokenizer: Tokenizer, text: str, *, words: bool = False) -> list[Span]:
    """The symbols [start, end) of each unit of a text, as `unit_spans` tells them from ids; but a mark that the tokenizer does not know,
    and of whose id one cannot tell what it touches, is with its word here."""
    if tokenizer.kind == "characters" and not words:
        return _characters(tokenizer, tokenizer.split(text))
    if tokenizer.kind != "words":
        return unit_spans(tokenizer, tokenizer.encode(text), words=words)
    ends = list(accumulate(len(tokenizer.split(word)) for word in tokenizer.normalizer(text).split()))
    return list(zip([0, *ends], ends, strict=False))


def unit_spans(tokenizer: Tokenizer, ids: Sequence[int], *, words: bool = False) -> list[Span]:
    """The symbols [start, end) of each unit that the `ids` of a text (no EOS, no features) make up.

    A unit is a word between white space, its subwords, or its punctuation marks, together; or a symbol, where symbols are separated
    in the text; or, where symbols are characters, each of them, spaces too, unless `words` are asked for: where they came apart into parts,
    the parts of a character together.
    """
    if tokenizer.kind == "symbols":
        return [(place, place + 1) for place in range(len(ids))]
    if tokenizer.kind == "characters" and not words:
        # a special symbol is no part of a character
        return _characters(tokenizer, [label if len(label) == 1 else UNKNOWN for label in tokenizer.tokens(ids)])
    if tokenizer.kind == "words":
        return _whole_words(tokenizer, ids)
    labels = tokenizer.tokens(ids)
    # of several spaces in a row, all but the last are pieces of no word
    return [(start, end) for start, end in tokenizer.words(ids) if "".join(labels[start:end]).strip(SPACE)]


def character_spans(tokenizer: Tokenizer, text: str, units: Sequence[Span], *, words: bool = False) -> list[Span]:
    """Where in a `text` the units that its ids make up are: their characters [start, end).

    Raises `DataError` where the tokenizer's normal form of the text has other characters at other places.
    """
    normal = tokenizer.normalizer.readable(text)
    if tokenizer.kind == "characters":
        characters = _characters(tokenizer, tokenizer.split(text))
        of = {place: number for number, (start, end) in enumerate(characters) for place in range(start, end)}
        found = [(of[start], of[end - 1] + 1) for start, end in units]
    elif tokenizer.kind == "symbols":
        found = _one_after_the_other(normal, map(tokenizer.normalizer.composed, tokenizer.split(text)))
    else:
        found = [match.span() for match in re.finditer(r"\S+" if tokenizer.kind == "words" else "[^ ]+", normal)]
    if len(normal) != len(text) or len(found) != len(units):
        raise DataError(
            f"{printable(text[:80])!r}: its characters cannot be told apart in the form that the model reads; "
            "links of characters need normalize: none"
        )
    return found


def _characters(tokenizer: Tokenizer, symbols: Sequence[str]) -> list[Span]:
    """The characters as people count them: each symbol by itself, or the parts that a character came apart into together, with the mark of
    a capital."""
    ends = list(range(1, len(symbols) + 1))
    if tokenizer.normalizer.decomposes:
        composed = tokenizer.normalizer.composed("".join(symbols))
        ends = list(accumulate(len(unicodedata.normalize("NFD", character)) for character in composed))
    if isinstance(tokenizer, VocabularyTokenizer) and isinstance(tokenizer.splitter, MarkedCapitals):
        ends = [end for end in ends if symbols[end - 1] != CAPITAL or end == len(symbols)]
    return list(zip([0, *ends], ends, strict=False))


def _whole_words(tokenizer: Tokenizer, ids: Sequence[int]) -> list[Span]:
    """Words with the marks that have no space before them: those that are written without a space between."""
    spans: list[Span] = []
    for place in range(len(ids)):
        if spans and not re.search(r"\s", tokenizer.decode(ids[place - 1 : place + 1])):
            spans[-1] = (spans[-1][0], place + 1)
        else:
            spans.append((place, place + 1))
    return spans


def _one_after_the_other(text: str, parts: Iterable[str]) -> list[Span]:
    found, end = [], 0
    for part in parts:
        start = text.index(part, end)
        end = start + len(part)
        found.append((start, end))
    return found
