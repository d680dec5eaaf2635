"""Pictures of shapes: what is drawn is what the gold objects say, and captions and answers follow from it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seqcli.data.builtin import split_of
from seqcli.data.corpus import Corpus, Split
from seqcli.data.shape_captions import caption_scenes, describe, read_shape_captions
from seqcli.data.shape_questions import QUESTIONS, question_scenes, read_shape_questions
from seqcli.data.shapes import BACKGROUND, COLOURS, Scene, SceneObject, draw_scene
from seqcli.errors import DataError
from seqcli.symbols import Example

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Scenes = Callable[..., Iterator[Scene]]
BOTH = pytest.mark.parametrize("scenes_of", [caption_scenes, question_scenes])


def pixels(example: Example) -> NDArray[np.uint8]:
    assert isinstance(example.image, np.ndarray)
    return example.image


def fingerprint(*corpora: Corpus) -> str:
    """A digest of everything that the corpora yield."""
    digest = hashlib.sha256()
    for corpus in corpora:
        for one in corpus.read():
            digest.update(repr((one.source, one.target, one.index, one.origin, one.group, one.boxes)).encode())
            digest.update(pixels(one).tobytes())
    return digest.hexdigest()


def small(seed: int = 3) -> tuple[Corpus, Corpus]:
    return (
        read_shape_captions("train", seed=seed, size=40, examples=20),
        read_shape_questions("train", seed=seed, size=40, scenes=5),
    )


def test_a_seed_gives_the_same_pictures_in_every_pass_and_every_process() -> None:
    here = fingerprint(*small())
    assert here == fingerprint(*small())
    assert here != fingerprint(*small(seed=4))
    script = "from test_shapes import fingerprint, small; print(fingerprint(*small()))"
    command = [sys.executable, "-c", script]
    there = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_the_digest_tells_the_parameters_apart() -> None:
    corpora = [
        read_shape_captions("train"),
        read_shape_captions("test"),
        read_shape_captions("train", seed=2),
        read_shape_captions("train", size=48),
        read_shape_captions("train", examples=9),
        read_shape_questions("train"),
        read_shape_questions("test"),
        read_shape_questions("train", seed=2),
        read_shape_questions("train", size=48),
        read_shape_questions("train", scenes=9),
        read_shape_questions("train", questions_per_scene=2),
    ]
    assert len({corpus.digest() for corpus in corpora}) == len(corpora)


@BOTH
def test_the_splits_share_no_scene(scenes_of: Scenes) -> None:
    # in the fewest pixels there are the fewest different scenes
    keys = {split: [scene.key for scene in islice(scenes_of(split, size=32), 300)] for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not set(keys[one]) & set(keys[other])
    # nor would they, however many were drawn: the scene itself says where it belongs
    assert all(split_of(key, 1) == split for split in SPLITS for key in keys[split])
    assert not set(keys["train"]) & {scene.key for scene in islice(scenes_of("train", seed=2, size=32), 300)}
    assert len({draw_scene(scene).tobytes() for scene in islice(scenes_of("train", size=32), 300)}) == len(
        set(keys["train"])
    )


def test_a_key_knows_no_order() -> None:
    first, second = SceneObject("star", "red", "small", 9, 9, 4), SceneObject("star", "blue", "small", 30, 9, 4)
    assert Scene((first, second), 64).key == Scene((second, first), 64).key
    assert Scene((first,), 64).key != Scene((second,), 64).key


@BOTH
@pytest.mark.parametrize("size", [32, 64, 75])
def test_every_object_is_where_its_box_says_in_its_colour(scenes_of: Scenes, size: int) -> None:
    for scene in islice(scenes_of("train", size=size), 100):
        image = draw_scene(scene)
        assert image.shape == (3, size, size)
        assert image.dtype == np.uint8
        elsewhere = np.ones((size, size), dtype=bool)
        for one in scene.objects:
            left, top, right, bottom = (edge * size for edge in scene.box(one))
            assert 0 <= left < right <= size
            assert 0 <= top < bottom <= size
            assert tuple(image[:, int(one.y), int(one.x)]) == COLOURS[one.colour]
            rows, columns = slice(int(top), int(np.ceil(bottom))), slice(int(left), int(np.ceil(right)))
            elsewhere[rows, columns] = False
            # the box is tight: half a pixel of the tip of a triangle may be too pale to see
            painted = np.argwhere((image[:, rows, columns] != 255).any(0))
            assert (painted.min(0) <= 1).all()
            assert (painted.max(0) >= np.array([rows.stop - rows.start, columns.stop - columns.start]) - 2).all()
        assert (image[:, elsewhere].T == BACKGROUND).all()


def test_shapes_have_their_areas() -> None:
    """Of its box, a square fills 1, a circle π/4, a triangle and a diamond 1/2, a pentagram about 0.326: it has the area
    1.1226 r² (5 r² sin 36° sin 18° / sin 126°) in a box of 2 cos 18° r by (1 + cos 36°) r."""
    shares = {"square": 1.0, "circle": 0.785, "triangle": 0.5, "diamond": 0.5, "star": 0.326}
    for shape, share in shares.items():
        image = draw_scene(Scene((SceneObject(shape, "gray", "large", 32.25, 31.5, 16),), 64))
        covered = (255.0 - image[0]) / (255 - COLOURS["gray"][0])
        assert covered.sum() / 32**2 == pytest.approx(share, abs=0.03), shape


@BOTH
def test_objects_keep_their_distance(scenes_of: Scenes) -> None:
    for scene in islice(scenes_of("train"), 300):
        for one, other in combinations(scene.objects, 2):
            apart = max(abs(one.x - other.x), abs(one.y - other.y)) - one.radius - other.radius
            assert apart >= scene.size / 64
            assert one.colour != other.colour


def expected_caption(scene: Scene) -> str:
    """The caption as the documentation describes it, from the corners of boxes instead of centres."""
    boxes = {scene.box(one): one for one in scene.objects}
    width = max(right - left for left, _, right, _ in boxes)
    names = {box: f"a {one.size} {one.colour} {one.shape}" for box, one in boxes.items()}
    across = sorted(boxes, key=lambda box: box[0] + box[2])
    down = sorted(boxes, key=lambda box: box[1] + box[3])
    assert width < 0.35
    if len(boxes) == 1:
        return names[across[0]]
    if len(boxes) == 3:
        return f"{names[across[0]]} , {names[across[1]]} and {names[across[2]]}"
    beside = across[1][0] + across[1][2] - across[0][0] - across[0][2]
    below = down[1][1] + down[1][3] - down[0][1] - down[0][3]
    assert abs(beside - below) / 2 >= 0.1 - 1e-9
    if beside > below:
        return f"{names[across[0]]} left of {names[across[1]]}"
    return f"{names[down[0]]} above {names[down[1]]}"


def test_captions_follow_from_the_objects() -> None:
    examples = list(read_shape_captions("train", examples=600).read())
    for number, (example, scene) in enumerate(zip(examples, caption_scenes("train"), strict=False), start=1):
        assert (example.source, example.target) == ("", expected_caption(scene))
        assert (example.index, example.origin) == (number - 1, f"shapes_captions:train:{number}")
        assert (pixels(example) == draw_scene(scene)).all()
    counts = Counter(example.target.count(" a ") + 1 for example in examples if example.target)
    assert set(counts) == {1, 2, 3}
    assert max(counts.values()) < 0.4 * len(examples)
    words = Counter(word for example in examples for word in (example.target or "").split())
    assert set(words) == {
        *("a", ",", "and", "left", "of", "above", "small", "large"),
        *("circle", "square", "triangle", "diamond", "star"),
        *("red", "green", "blue", "yellow", "purple", "orange"),
    }


def test_three_are_listed_from_left_to_right_and_two_by_what_sets_them_apart() -> None:
    red = SceneObject("circle", "red", "large", 40, 20, 9.5)
    blue = SceneObject("square", "blue", "small", 20, 30, 5)
    green = SceneObject("star", "green", "small", 52, 58, 5)
    assert describe(Scene((red, blue, green), 64))[0] == (
        "a small blue square , a large red circle and a small green star"
    )
    assert (
        describe(Scene((red, blue), 64))[0] == "a small blue square left of a large red circle"
    )  # 20 beside, 10 below
    assert describe(Scene((green, red), 64))[0] == "a large red circle above a small green star"  # 12 beside, 38 below


def test_words_of_a_caption_have_the_box_of_what_they_name() -> None:
    for example, scene in zip(
        read_shape_captions("validation", examples=10).read(), caption_scenes("validation"), strict=False
    ):
        words = (example.target or "").split()
        assert len(example.boxes) == len(words)
        by_colour = {one.colour: one for one in scene.objects}
        for place, word in enumerate(words):
            if word in by_colour:
                one = by_colour[word]
                assert words[place - 1 : place + 2] == [one.size, one.colour, one.shape]
                assert example.boxes[place - 1 : place + 2] == (scene.box(one),) * 3
            elif word in ("a", ",", "and", "left", "of", "above"):
                assert example.boxes[place] is None


def expected_answer(question: str, scene: Scene) -> tuple[str, SceneObject | None]:
    """The answer worked out from the words of the question and the distances between all centres."""
    words = question.split()
    (asked,) = (place for place, one in enumerate(scene.objects) if one.colour in words)
    one = scene.objects[asked]
    centres = np.array([(other.x, other.y) for other in scene.objects])
    distances = np.linalg.norm(centres - centres[asked], axis=1)
    if "many" in words:
        return str([other.shape for other in scene.objects].count(one.shape)), None
    if "closest" in words:
        distances[asked] = np.inf
        named = scene.objects[int(distances.argmin())]
        assert np.diff(np.sort(distances)[:2]) >= 0.015 * scene.size - 1e-9
        return named.shape, named
    if "farthest" in words:
        named = scene.objects[int(distances.argmax())]
        assert np.diff(np.sort(distances)[-2:]) >= 0.015 * scene.size - 1e-9
        return named.shape, named
    if "shape" in words:
        return one.shape, one
    place = {"left": one.x, "top": one.y}[words[-2]] / scene.size
    assert abs(place - 0.5) >= 0.015
    return ("yes" if place < 0.5 else "no"), one


def questions_by_scene(count: int) -> Iterator[tuple[Scene, list[Example]]]:
    examples = read_shape_questions("train", scenes=count).read()
    for scene in islice(question_scenes("train"), count):
        yield scene, list(islice(examples, 20))


def test_answers_follow_from_the_objects() -> None:
    for scene, examples in questions_by_scene(60):
        assert len({id(example.image) for example in examples}) == 1
        assert (pixels(examples[0]) == draw_scene(scene)).all()
        assert len({example.source for example in examples}) == 20
        assert Counter(example.group for example in examples) == {"relational": 10, "non-relational": 10}
        for example in examples:
            answer, named = expected_answer(example.source, scene)
            assert example.target == answer, example.source
            assert example.boxes == (None if named is None else scene.box(named),)
            relational = {"closest", "farthest", "many"} & set(example.source.split())
            assert example.group == ("relational" if relational else "non-relational")


def test_no_answer_is_a_safe_guess() -> None:
    """Two answers of a type share it evenly; of the counts, 3 and 4 have 10/32 each, as 1 + Binomial(5, 1/2)."""
    answers: dict[str, Counter[str]] = {}
    for scene, examples in questions_by_scene(400):
        for example in examples:
            (colour,) = {one.colour for one in scene.objects} & set(example.source.split())
            answers.setdefault(example.source.replace(f" {colour} ", " {} "), Counter())[example.target or ""] += 1
    assert set(answers) == {template for templates in QUESTIONS.values() for template in templates}
    for template, counts in answers.items():
        asked = counts.total()
        # 20 of 36 questions about each of 400 scenes: a sixth of 8000 for each type
        assert asked == pytest.approx(8000 / 6, rel=0.1), template
        share = max(counts.values()) / asked
        if "many" in template:
            assert set(counts) == set("123456")
            assert share < 0.36, counts
        else:
            assert set(counts) == ({"yes", "no"} if template.startswith("is") else {"circle", "square"})
            assert share < 0.55, counts


def test_the_sizes_of_the_splits() -> None:
    for split, captions, questions in (("train", 40, 3 * 4), ("validation", 100, 100 * 4), ("test", 100, 100 * 4)):
        assert len(list(read_shape_captions(split, examples=40).read())) == captions  # type: ignore[arg-type]
        corpus = read_shape_questions(split, scenes=3, questions_per_scene=4)  # type: ignore[arg-type]
        assert [example.index for example in corpus.read()] == list(range(questions))
    assert sum(1 for _ in read_shape_captions("test", examples=2400).read()) == 120  # a twentieth


def test_what_cannot_be_drawn_or_asked_is_refused() -> None:
    with pytest.raises(DataError, match="shapes_captions: .* 31 pixels; give a size of 32 or more"):
        read_shape_captions("train", size=31)
    with pytest.raises(DataError, match="shapes_questions: .* 31 pixels"):
        read_shape_questions("train", size=31)
    for count in (0, 3, 38):
        with pytest.raises(DataError, match=f"{count} questions cannot be asked .* even number up to 36"):
            read_shape_questions("train", questions_per_scene=count)
    (everything,) = (list(read_shape_questions("train", scenes=1, questions_per_scene=36).read()),)
    assert len({example.source for example in everything}) == 36
