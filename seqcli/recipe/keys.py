"""Which keys the schema has, and where: what the messages about unknown and missing keys are made from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from seqcli.recipe.schema import Recipe
from seqcli.recipe.section import Section
from seqcli.recipe.tree import KeyPath

ANY_NAME = "NAME"
"""What stands in a path for a name that the user chooses, as of a task."""


class Spot(NamedTuple):
    """A section where it stands in a recipe: `path`, its class, and what `kind` may be where it is one variant of several."""

    path: KeyPath
    section: type[Section]
    kinds: tuple[str, ...]


@cache
def spots() -> tuple[Spot, ...]:
    """Every section of a recipe, variants one by one, from the top down."""
    return tuple(_spots((), Recipe))


def _spots(path: KeyPath, section: type[Section]) -> Iterator[Spot]:
    yield Spot(path, section, kinds(section))
    for key, field in section.model_fields.items():
        named = (ANY_NAME,) if _by_name(field.annotation) else ()
        for below in sections(field.annotation):
            yield from _spots((*path, key, *named), below)


def is_at(spot: Spot, path: KeyPath) -> bool:
    """Whether a path as a user writes it is that of the spot."""
    return len(spot.path) == len(path) and all(
        own in (ANY_NAME, other) for own, other in zip(spot.path, path, strict=True)
    )


def kinds(section: type[Section]) -> tuple[str, ...]:
    """What `kind` may be for this section; empty where it is not one of several variants."""
    field = section.model_fields.get("kind")
    return () if field is None else choices(field.annotation)


def sections(annotation: Any) -> list[type[Section]]:
    """The section classes that a field may hold, by itself or by names that the user chooses: none for a value, one for a section, several for
    variants."""
    if _by_name(annotation):
        return sections(get_args(annotation)[1])
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    if get_origin(annotation) is Annotated:
        return sections(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [section for part in get_args(annotation) for section in sections(part)]
    return []


def _by_name(annotation: Any) -> bool:
    """Whether a field holds what is found by names that the user chooses."""
    return get_origin(annotation) is dict


def choices(annotation: Any) -> tuple[str, ...]:
    """The words that a field, or the items of its list, may be; empty where it is not a choice of words."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(word for part in get_args(annotation) for word in choices(part))


class Located(NamedTuple):
    """Where an error of pydantic stands: the keys as the user wrote them, the section they end in, and the last key's field."""

    path: KeyPath
    section: type[Section]
    field: FieldInfo | None


def locate(loc: KeyPath) -> Located:
    """Takes out of pydantic's `loc` what no user wrote: the chosen variant's kind, the chosen member of a union of values."""
    path: list[str | int] = []
    section: type[Section] = Recipe
    below: list[type[Section]] = [Recipe]
    field: FieldInfo | None = None
    parts = list(loc)
    while parts:
        if len(below) > 1:  # variants: the next part is the kind that was chosen
            kind = parts.pop(0)
            below = [variant for variant in below if kind in kinds(variant)]
        elif below:
            section, key = below[0], parts.pop(0)
            path.append(key)
            field = section.model_fields.get(str(key))
            below = sections(field.annotation) if field is not None else []
            if below and parts and field is not None and _by_name(field.annotation):
                path.append(parts.pop(0))
        else:  # inside a value: only numbers of list items are the user's
            path.extend(part for part in parts if isinstance(part, int))
            break
    return Located(tuple(path), section, field)
