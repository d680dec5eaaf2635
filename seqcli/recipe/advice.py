"""What was probably meant by a key or a word that is not known."""

from __future__ import annotations

from difflib import get_close_matches

from seqcli.recipe.keys import ANY_NAME, spots
from seqcli.recipe.synonyms import KEYS, VALUES, name_here


def homes(key: str) -> list[str]:
    """The sections that have this key, by their dotted path, each once; `kind` is everywhere and therefore nowhere."""
    if key == "kind":
        return []
    # a section that stands below a name, as those of tasks, stands elsewhere too
    places = [spot.path for spot in spots() if key in spot.section.model_fields and ANY_NAME not in spot.path]
    return list(dict.fromkeys(".".join(map(str, path)) or "the top level" for path in places))


def key_elsewhere(key: str) -> str | None:
    """A key of another section that this one is called, or resembles."""
    everywhere = list(dict.fromkeys(name for spot in spots() for name in spot.section.model_fields))
    phrase = name_here(key, KEYS, everywhere)
    if phrase is not None and (places := homes(phrase.split()[0])):
        return f"it is called {phrase} here, and belongs in {listed(places)}"
    near = closest(key, everywhere, 0.8)
    return f"did you mean {near}, which belongs in {listed(homes(near))}?" if near and homes(near) else None


def word_hint(value: object, words: tuple[str, ...]) -> tuple[str, str | None]:
    """The end of a message about a word that is not allowed, and the word that was probably meant."""
    if not isinstance(value, str):
        return "", None
    if (phrase := name_here(value, VALUES, list(words))) is not None:
        return f"; it is called {phrase} here", phrase.split()[0]
    near = closest(value, list(words))
    return (f"; did you mean {near}?", near) if near else ("", None)


def closest(word: str, known: list[str], cutoff: float = 0.66) -> str | None:
    """The known word that resembles `word` most; 0.66 lets one letter of three be wrong."""
    near = get_close_matches(word.lower().replace("-", "_"), known, n=1, cutoff=cutoff)
    return near[0] if near else None


def listed(words: list[str], last: str = "or") -> str:
    """`a, b or c`, at most four of them."""
    if len(words) > 4:
        words = [*words[:4], "others"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
