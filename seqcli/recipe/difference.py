"""What tells recipes apart: the keys whose values differ, short names for them, and which recipes differ in nothing but the seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqcli.recipe.schema import Recipe

SAME_EXPERIMENT = ("run", "seed")
"""Keys that may differ between the runs of one group."""
LONGEST_VALUE = 40
MOST_KEYS = 4
"""Where more keys differ, a label has as few of them as tell all groups apart, and says that there are more."""
Flat = dict[str, object]


@dataclass(frozen=True)
class Group:
    """Runs whose recipes are the same but for `run` and `seed`: what tells them from the other groups, and their names."""

    label: str
    names: tuple[str, ...]


def group_by_recipe(recipes: Mapping[str, Recipe | None]) -> list[Group]:
    """The runs, by name, in groups that differ in nothing but the seed and the run directory; in the order given.

    A group's label has the keys that differ between groups, as in `encoder=lstm, hidden_size=64`. A key that is the same wherever
    the kind of its section is follows from that and is left out, unless it alone tells two groups apart. A run without a recipe
    (None) is a group of its own and bears its name, and so does everything where there is one group alone.
    """
    members: list[tuple[Flat | None, list[str]]] = []
    for name, recipe in recipes.items():
        flat = None if recipe is None else flattened(recipe.model_dump(exclude=set(SAME_EXPERIMENT)))
        alike = next((names for known, names in members if known is not None and known == flat), None)
        if alike is None:
            members.append((flat, [name]))
        else:
            alike.append(name)
    flats = [flat for flat, _ in members if flat is not None]
    by_recipe = iter(labels(flats) if len(flats) > 1 else [names[0] for flat, names in members if flat is not None])
    return [Group(names[0] if flat is None else next(by_recipe), tuple(names)) for flat, names in members]


def flattened(section: Mapping[str, Any], path: str = "") -> Flat:
    """Nested sections as one, with dotted keys; lists stay whole."""
    flat: Flat = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value
    return flat


def labels(flats: Sequence[Flat]) -> list[str]:
    """For each of several recipes, all of them different, what tells it from the others."""
    differing = [key for key in dict.fromkeys(key for flat in flats for key in flat) if _differs(key, flats)]
    first = [key for key in differing if not _follows(key, differing, flats)]
    # what the model is made of tells most
    first.sort(key=lambda key: not key.startswith("model."))
    if len(first) > MOST_KEYS:
        keys = [key for key in first if key.startswith("model.") and key.endswith(".kind")]
        more = ", …"
    else:
        keys, more = first, ""
    rest = [key for key in (first if more else differing) if key not in keys]
    while len(set(_told(keys, flats))) < len(flats) and rest:
        best = max(rest, key=lambda key: len(set(_told([*keys, key], flats))))
        keys, rest = [*keys, best], [key for key in rest if key != best]
    told = [f"{text}{more}" for text in _told(keys, flats)]
    # else values that are cut to the same length
    return told if len(set(told)) == len(told) else [f"{text} ({number})" for number, text in enumerate(told, start=1)]


def _follows(key: str, differing: Sequence[str], flats: Sequence[Flat]) -> bool:
    """Whether a key is the same wherever the kinds of the sections around it are, one of which differs."""
    kinds = [
        one for one in differing if one.endswith("kind") and one != key and key.startswith(one.removesuffix("kind"))
    ]
    values: dict[str, list[object]] = {}
    for flat in flats:
        values.setdefault(repr([flat.get(kind) for kind in kinds]), []).append(flat.get(key))
    return bool(kinds) and all(value == known[0] for known in values.values() for value in known)


def _told(keys: Sequence[str], flats: Sequence[Flat]) -> list[str]:
    names = short_names(keys)
    return [", ".join(f"{names[key]}={value_text(flat[key])}" for key in keys if key in flat) for flat in flats]


def _differs(key: str, flats: Sequence[Flat]) -> bool:
    return any(key not in flat or flat[key] != flats[0].get(key) for flat in flats)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The shortest end of each dotted key that no other key has; a `kind` is called as its section, `model.encoder.kind` `encoder`."""
    found = {}
    parts = {key: _telling(key) for key in keys}
    for key, own in parts.items():
        for length in range(1, len(own) + 1):
            end = own[-length:]
            if all(other[-length:] != end for name, other in parts.items() if name != key):
                break
        found[key] = ".".join(end)
    return found


def _telling(key: str) -> list[str]:
    parts = key.split(".")
    return parts[:-1] if parts[-1] == "kind" and len(parts) > 1 else parts


def value_text(value: object) -> str:
    """A value as YAML would have it, without quotes and not too long."""
    text = "".join(_written(value))
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _written(value: object) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        yield "null" if value is None else str(value).lower()
    elif isinstance(value, float):
        yield f"{value:g}"
    elif isinstance(value, (list, tuple)):
        yield f"[{', '.join(value_text(each) for each in value)}]"
    else:
        yield str(value)
