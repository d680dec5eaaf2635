"""Builtin data: questions about pictures of six shapes, in the manner of Sort-of-CLEVR.

    what is the shape of the red object ?                             non-relational: circle, square
    is the red object on the left ?                                   non-relational: yes, no
    is the red object on the top ?                                    non-relational: yes, no
    what is the shape of the object closest to the red object ?       relational: circle, square
    what is the shape of the object farthest from the red object ?    relational: circle, square
    how many objects have the shape of the red object ?               relational: 1 … 6

Source: Adam Santoro et al. 2017, *A simple neural network module for relational reasoning* (arXiv:1706.01427), the section on
Sort-of-CLEVR and the appendix of that name. As there: 75×75 pixels, six objects, one of each colour (red, green, blue, orange,
yellow, gray), each a circle or a square; ten questions that need one object and ten that need several, of three types each, about an
object that is told by its colour. Other than there: questions are English sentences, not bits; the position is asked for with yes
and no, not as a choice of two words; a scene has no question twice; and scenes with a tie are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

from seqcli.data.builtin import examples_of
from seqcli.data.corpus import Corpus, Split
from seqcli.data.shapes import (
    VERSION,
    Scene,
    SceneObject,
    check_picture_size,
    draw_places,
    draw_scene,
    radius_of,
    scenes_of,
)
from seqcli.errors import DataError
from seqcli.symbols import Example

QUESTION_SHAPES = ("circle", "square")
QUESTION_COLOURS = ("red", "green", "blue", "orange", "yellow", "gray")

QUESTIONS = {
    "non-relational": (
        "what is the shape of the {} object ?",
        "is the {} object on the left ?",
        "is the {} object on the top ?",
    ),
    "relational": (
        "what is the shape of the object closest to the {} object ?",
        "what is the shape of the object farthest from the {} object ?",
        "how many objects have the shape of the {} object ?",
    ),
}
"""The types of questions by group; {} is the colour of the object that is asked about."""

MARGIN = 0.015
"""By how much of the picture's width an object is at least closer than the next, farther, or off the middle."""


def read_shape_questions(
    split: Split, *, seed: int = 1, size: int = 75, scenes: int = 2000, questions_per_scene: int = 20
) -> Corpus:
    """Questions about pictures of `size` pixels a side, uint8 (3,size,size), and their answers, one word each.

    The questions of a scene share one array of pixels; half of them are relational, as `group` says. `boxes` has the place of the
    object that the answer is about, None for a count. `scenes` counts the training split; the others have a twentieth of that, at
    least 100. Raises `DataError` where `size` is too small, or `questions_per_scene` is odd or more than there are questions.
    """
    check_picture_size("shapes_questions", size)
    most = sum(map(len, QUESTIONS.values())) * len(QUESTION_COLOURS)
    if questions_per_scene % 2 or not 0 < questions_per_scene <= most:
        raise DataError(
            f"shapes_questions: {questions_per_scene} questions cannot be asked about a scene; give an even number up to {most}"
        )
    count = examples_of(split, scenes)

    def read() -> Iterator[Example]:
        index = 0
        for scene in islice(question_scenes(split, seed=seed, size=size), count):
            image = draw_scene(scene)
            for group, template, one in _chosen_questions(scene, seed, questions_per_scene):
                answer, named = answer_question(scene, template, one)
                boxes = (None if named is None else scene.box(named),)
                question, origin = template.format(one.colour), f"shapes_questions:{split}:{index + 1}"
                yield Example(question, answer, index, origin, image=image, group=group, boxes=boxes)
                index += 1

    digest = f"shapes_questions {VERSION} {split} {seed} {size} {count} {questions_per_scene}"
    return Corpus(f"shapes_questions ({split})", read, lambda: digest)


def question_scenes(split: Split, *, seed: int = 1, size: int = 75) -> Iterator[Scene]:
    """The scenes of a split, without end, in the order in which `read_shape_questions` reads them."""
    return scenes_of(split, seed, lambda random: _draw(random, size))


def answer_question(scene: Scene, template: str, one: SceneObject) -> tuple[str, SceneObject | None]:
    """The answer to a question about `one`, and the object that the answer is about, None for a count."""
    shape_of, on_the_left, on_the_top = QUESTIONS["non-relational"]
    shape_of_closest, shape_of_farthest, count = QUESTIONS["relational"]
    if template == shape_of:
        return one.shape, one
    if template == on_the_left:
        return "yes" if one.x < scene.size / 2 else "no", one
    if template == on_the_top:
        return "yes" if one.y < scene.size / 2 else "no", one
    if template == count:
        return str(sum(other.shape == one.shape for other in scene.objects)), None
    by_distance = sorted((other for other in scene.objects if other is not one), key=one.distance)
    named = by_distance[{shape_of_closest: 0, shape_of_farthest: -1}[template]]
    return named.shape, named


def _chosen_questions(scene: Scene, seed: int, count: int) -> Iterator[tuple[str, str, SceneObject]]:
    """`count` different questions as group, template and object, half of them of each group."""
    random = Random(f"{seed} {scene.key}")
    for group, templates in QUESTIONS.items():
        possible = [(group, template, one) for template in templates for one in scene.objects]
        yield from random.sample(possible, count // 2)


def _draw(random: Random, size: int) -> Scene:
    """A scene that is clear."""
    radius = radius_of("small", size)
    shapes = [random.choice(QUESTION_SHAPES) for _ in QUESTION_COLOURS]
    while True:
        places = draw_places(random, [radius] * len(shapes), size)
        rows = zip(shapes, QUESTION_COLOURS, places, strict=True)
        scene = Scene(tuple(SceneObject(shape, colour, "small", *place, radius) for shape, colour, place in rows), size)
        if _is_clear(scene):
            return scene


def _is_clear(scene: Scene) -> bool:
    """Whether nothing is in the middle, and no two objects tie for the closest or the farthest one."""
    margin = MARGIN * scene.size
    if any(abs(place - scene.size / 2) < margin for one in scene.objects for place in (one.x, one.y)):
        return False
    for one in scene.objects:
        lengths = sorted(one.distance(other) for other in scene.objects if other is not one)
        if lengths[1] - lengths[0] < margin or lengths[-1] - lengths[-2] < margin:
            return False
    return True
