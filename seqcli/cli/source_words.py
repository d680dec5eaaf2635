"""What `seqcli translate` tells of the words of the source: which of them each word comes from, and those it takes for unknown ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqcli.analysis.alignment import AlignmentSettings
    from seqcli.evaluation.translator import Translation
    from seqcli.run import Run
    from seqcli.symbols import Example


def links_of(
    loaded: Run, examples: Sequence[Example], found: Sequence[Sequence[Translation]], settings: AlignmentSettings
) -> list[list[str] | None]:
    """The alignment of each hypothesis of each example as text."""
    from seqcli.data.pharaoh import format_links

    pairs = [(example, one) for example, several in zip(examples, found, strict=True) for one in several]
    links = iter(loaded.alignments([example for example, _ in pairs], [one for _, one in pairs], settings))
    return [[format_links(next(links)) for _ in several] for several in found]


def known(
    loaded: Run,
    examples: Sequence[Example],
    found: Sequence[Sequence[Translation]],
    lexicon: Mapping[str, str],
    settings: AlignmentSettings,
) -> list[list[Translation]]:
    """The hypotheses of each example with words for what is unknown."""
    pairs = [(example, one) for example, several in zip(examples, found, strict=True) for one in several]
    known = loaded.without_unknown(
        [example for example, _ in pairs], [one for _, one in pairs], lexicon=lexicon, settings=settings
    )
    each = iter(known)
    return [[next(each) for _ in several] for several in found]


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
