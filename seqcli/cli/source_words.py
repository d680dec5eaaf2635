"""What `seqcli translate` tells of the words of the source: which of them each word comes from, and those it takes for unknown ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from seqcli.analysis.alignment import AlignmentSettings
    from seqcli.evaluation.reader import Translation
    from seqcli.run import Run
    from seqcli.symbols import Example


Item = TypeVar("Item")


def links_of(
    loaded: Run, examples: Sequence[Example], found: Sequence[Sequence[Translation]], settings: AlignmentSettings
) -> list[list[str]]:
    """The alignment of each hypothesis of each example as text."""
    from seqcli.data.pharaoh import format_links

    links = loaded.alignments(*_paired(examples, found), settings)
    return list(_parted([format_links(each) for each in links], found))


def known(
    loaded: Run,
    examples: Sequence[Example],
    found: Sequence[Sequence[Translation]],
    lexicon: Mapping[str, str],
    settings: AlignmentSettings,
) -> list[list[Translation]]:
    """The hypotheses of each example with words for what is unknown."""
    return list(_parted(loaded.without_unknown(*_paired(examples, found), lexicon=lexicon, settings=settings), found))


def _paired(
    examples: Sequence[Example], found: Sequence[Sequence[Translation]]
) -> tuple[list[Example], list[Translation]]:
    """All hypotheses, and beside each its example."""
    pairs = [(example, one) for example, several in zip(examples, found, strict=True) for one in several]
    return [example for example, _ in pairs], [one for _, one in pairs]


def _parted(items: Iterable[Item], found: Sequence[Sequence[Translation]]) -> Iterator[list[Item]]:
    """What was told of all hypotheses, as many at a time as each example has."""
    rest = iter(items)
    for several in found:
        yield list(islice(rest, len(several)))


def dictionary_of(loaded: Run, lexicon: Path | None, *, wanted: bool) -> dict[str, str] | None:
    """The translations of words that are written for unknown ones, if such are `wanted`. RecipeError where they cannot be."""
    from seqcli.analysis.unknown_words import check_words_to_take
    from seqcli.data.dictionary import read_dictionary
    from seqcli.errors import RecipeError

    if not wanted:
        if lexicon is not None:
            raise RecipeError("--lexicon goes with --replace-unknown")
        return None
    check_words_to_take(loaded.translator)
    return {} if lexicon is None else read_dictionary(lexicon)
