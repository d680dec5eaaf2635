"""Builtin data: pictures of one to three shapes, and the one sentence that describes each.

    a small green triangle
    a large red circle left of a small blue square
    a small blue star above a large red circle
    a large red circle , a small blue square and a small green triangle

One object is named; of two, the left one is named first, or the upper one where they lie rather above than beside each other;
three are listed from left to right. No two objects of a scene have one colour. What could be read in two ways is not drawn, so
the sentence follows from the picture, and an exact match is a fair thing to ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from random import Random

from seqcli.data.builtin import examples_of
from seqcli.data.corpus import Corpus, Split
from seqcli.data.shapes import (
    SIZES,
    VERSION,
    Scene,
    SceneObject,
    check_picture_size,
    draw_places,
    draw_scene,
    radius_of,
    scenes_of,
)
from seqcli.symbols import Box, Example

CAPTION_SHAPES = ("circle", "square", "triangle", "diamond", "star")
CAPTION_COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")
MOST_OBJECTS = 3

MARGIN = 0.1
"""By how much of the picture's width an object must be further left, or rather left than above, for a caption to say so."""

Phrase = tuple[str, SceneObject | None]
"""Some words of a caption, and the object that they name."""


def read_shape_captions(split: Split, *, seed: int = 1, size: int = 64, examples: int = 10000) -> Corpus:
    """Pictures of `size` pixels a side, uint8 (3,size,size), without a source text, and their captions in words.

    `boxes` has the place of the named object for each word of size, colour and shape, None for the other words. `examples` counts
    the training split; the others have a twentieth of that, at least 100. Raises `DataError` where `size` is too small.
    """
    check_picture_size("shapes_captions", size)
    count = examples_of(split, examples)

    def read() -> Iterator[Example]:
        for index, scene in enumerate(islice(caption_scenes(split, seed=seed, size=size), count)):
            caption, boxes = describe(scene)
            origin = f"shapes_captions:{split}:{index + 1}"
            yield Example("", caption, index, origin, image=draw_scene(scene), boxes=boxes)

    digest = f"shapes_captions {VERSION} {split} {seed} {size} {count}"
    return Corpus(f"shapes_captions ({split})", read, lambda: digest)


def caption_scenes(split: Split, *, seed: int = 1, size: int = 64) -> Iterator[Scene]:
    """The scenes of a split, without end, in the order in which `read_shape_captions` reads them."""
    return scenes_of(split, seed, lambda random: _draw(random, size))


def describe(scene: Scene) -> tuple[str, tuple[Box | None, ...]]:
    """The caption of a scene, and the box of what each of its words names."""
    pairs = [(word, named) for words, named in _phrases(scene) for word in words.split()]
    boxes = tuple(None if named is None or word == "a" else scene.box(named) for word, named in pairs)
    return " ".join(word for word, _ in pairs), boxes


def _phrases(scene: Scene) -> list[Phrase]:
    by_left = sorted(scene.objects, key=lambda one: one.x)
    match by_left:
        case [one]:
            return [_name(one)]
        case [left, right] if right.x - left.x > abs(right.y - left.y):
            return [_name(left), ("left of", None), _name(right)]
        case [_, _]:
            upper, lower = sorted(by_left, key=lambda one: one.y)
            return [_name(upper), ("above", None), _name(lower)]
        case _:
            first, second, third = by_left
            return [_name(first), (",", None), _name(second), ("and", None), _name(third)]


def _name(one: SceneObject) -> Phrase:
    return f"a {one.size} {one.colour} {one.shape}", one


def _draw(random: Random, size: int) -> Scene:
    """A scene that is clear. What is in it is chosen once, so that one, two and three objects are equally frequent."""
    colours = random.sample(CAPTION_COLOURS, random.randint(1, MOST_OBJECTS))
    looks = [(random.choice(CAPTION_SHAPES), colour, random.choice(tuple(SIZES))) for colour in colours]
    radii = [radius_of(word, size) for _, _, word in looks]
    while True:
        rows = zip(looks, draw_places(random, radii, size), radii, strict=True)
        scene = Scene(tuple(SceneObject(*look, *place, radius) for look, place, radius in rows), size)
        if _is_clear(scene):
            return scene


def _is_clear(scene: Scene) -> bool:
    """Whether nobody could take another object for the left one, or above for beside."""
    margin = MARGIN * scene.size
    if len(scene.objects) == 2:
        one, other = scene.objects
        return abs(abs(one.x - other.x) - abs(one.y - other.y)) >= margin
    lefts = sorted(one.x for one in scene.objects)
    return all(right - left >= margin for left, right in pairwise(lefts))
