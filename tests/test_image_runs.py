"""Runs whose sources are images: interrupted or not they are the same, and Python reads images as the command line does."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as pillow
from test_experiment import checkpoints, interrupted, records

import seqcli
from seqcli.data.shape_captions import read_shape_captions
from seqcli.data.shape_questions import read_shape_questions
from seqcli.errors import DataError
from seqcli.experiment import prepare
from seqcli.recipe.load import load_recipe
from seqcli.recipe.schema import Recipe

CAPTIONS = """\
seed: 1
data: {kind: shapes_captions, size: 32, examples: 60}
source: {image: {kind: pixels, width: 24, height: 16}}
target: {tokenizer: {kind: words}}
model:
  encoder: {kind: conv, hidden_size: 16, channels: [4, 8], blocks: 1}
  decoder: {kind: gru, hidden_size: 16, embedding_size: 8, attention: {kind: additive}}
training: {steps: 3, batch_sentences: 8}
search: {beam_size: 1, max_length: 6}
evaluation: {metrics: [loss]}
threads: 1
"""
QUESTIONS = (
    "data={kind: shapes_questions, size: 32, scenes: 3}",
    "source.tokenizer={kind: words}",
    "model.encoder={kind: image_text, image: {kind: conv, hidden_size: 16, channels: [4, 8]}, "
    "text: {kind: gru, hidden_size: 16, embedding_size: 8}}",
)
FEATURES = (
    "source.image={kind: features, rows: 2, columns: 3, size: 4}",
    "model.encoder={kind: features, hidden_size: 16}",
)

RecipeOf = Callable[..., Recipe]


@pytest.fixture(scope="module")
def recipe_of(tmp_path_factory: pytest.TempPathFactory) -> RecipeOf:
    path = tmp_path_factory.mktemp("recipes") / "captions.yaml"
    path.write_text(CAPTIONS)
    return lambda *overrides: load_recipe(str(path), overrides)


@pytest.fixture(scope="module")
def captions(recipe_of: RecipeOf, tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> seqcli.Run:
    folder = tmp_path_factory.mktemp("runs") / "captions"
    list(prepare(recipe_of(), folder).train())
    return seqcli.load(folder)


@pytest.fixture(scope="module")
def questions(recipe_of: RecipeOf, tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> seqcli.Run:
    folder = tmp_path_factory.mktemp("runs") / "questions"
    list(prepare(recipe_of(*QUESTIONS), folder).train())
    return seqcli.load(folder)


def drawn(count: int) -> list[np.ndarray]:
    examples = read_shape_captions("test", seed=1, size=32, examples=60).read()
    return [np.asarray(next(examples).image) for _ in range(count)]


def as_png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    pillow.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(stream, "PNG")
    return stream.getvalue()


def as_file(folder: Path, name: str, pixels: np.ndarray) -> str:
    (folder / name).write_bytes(as_png(pixels))
    return str(folder / name)


@pytest.mark.parametrize(
    ("every", "others"),
    [
        (1, ("data.examples=20",)),
        (4, (*QUESTIONS, "data.limit=40")),
        (4, (*QUESTIONS, "data.limit=40", "training.share_images=6")),
        (4, (*QUESTIONS, "data.limit=40", "model.encoder.image.normalize=batch", "training.moving_average=0.9")),
        (2, (*QUESTIONS, "data.limit=40", "training.curriculum={groups: [relational], epochs: 2}")),
    ],
    ids=["captions", "questions", "shared images", "norms of batches", "curriculum"],
)
def test_however_often_it_is_stopped(recipe_of: RecipeOf, every: int, others: tuple[str, ...], tmp_path: Path) -> None:
    """What becomes of an image follows from seed, epoch and its number, so a run that goes on sees what it would have seen."""
    recipe = recipe_of(
        "source.image.augment={crop: 0.2, flip: true, colour: 0.3, rotate: 10, shift: 0.1, scale: 0.1, shear: 5}",
        "training={steps: 9, batch_sentences: 6, log_every: 2, checkpoint_every: 4, optimizer: {kind: adamw, learning_rate: 1e-2}}",
        "model.dropout=0.2",
        *others,
    )
    list(prepare(recipe, tmp_path / "straight").train())
    interrupted(recipe, tmp_path / "stopped", every)
    assert records(tmp_path / "stopped") == records(tmp_path / "straight")
    assert checkpoints(tmp_path / "stopped") == checkpoints(tmp_path / "straight")


@pytest.mark.parametrize("together", ["null", "4"])
def test_a_curriculum_begins_with_its_groups(recipe_of: RecipeOf, together: str, tmp_path: Path) -> None:
    """Of 60 questions, half of them relational."""
    recipe = recipe_of(
        *QUESTIONS,
        "training={epochs: 3, batch_sentences: 6, curriculum: {groups: [relational], epochs: 2}}",
        f"training.share_images={together}",
    )
    experiment = prepare(recipe, tmp_path / "run")
    groups = [
        {experiment.data.train.example(int(row)).group for rows in experiment.plan(epoch) for row in rows}
        for epoch in range(3)
    ]
    assert groups == [{"relational"}, {"relational"}, {"relational", "non-relational"}]
    assert sorted(row for rows in experiment.plan(2) for row in rows) == list(range(60))
    steps = [len(experiment.plan(epoch)) for epoch in range(3)]
    assert steps[0] == steps[1] < steps[2]
    assert (experiment.steps_an_epoch, experiment.total_steps) == (steps[2], sum(steps))


def test_a_curriculum_of_groups_that_are_not_there(recipe_of: RecipeOf, tmp_path: Path) -> None:
    recipe = recipe_of(*QUESTIONS, "training.curriculum={groups: [counts]}")
    with pytest.raises(
        DataError, match=r"curriculum\.groups: no example .* 'counts'; there are: non-relational, relational"
    ):
        list(prepare(recipe, tmp_path / "run").train())
    captions = recipe_of("training.curriculum={groups: [counts]}")
    with pytest.raises(DataError, match=r"there are: none; data\.columns\.group names a column of them"):
        list(prepare(captions, tmp_path / "captions").train())


def test_augmentation_is_for_training_alone(recipe_of: RecipeOf, tmp_path: Path) -> None:
    from seqcli.build.batches import load_batch, plan_epoch

    varied = recipe_of("source.image.augment={flip: true, colour: 0.5}", "training.batch_tokens=4096")
    experiment = prepare(varied, tmp_path / "varied")
    rows = plan_epoch(varied, experiment.data, 0)[0]
    batches = [load_batch(varied, experiment.data, rows, epoch).image for epoch in (0, 0, 1)]
    plain = experiment.data.train.batch(rows).image
    first, again, later = (np.asarray(one) for one in batches)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)
    assert not np.array_equal(first, np.asarray(plain))
    assert first.shape == (len(rows), 3, 16, 24)
    # the same images, for there is one entry in the cache with augmentation and without
    assert prepare(recipe_of(), tmp_path / "plain").data.train.digest == experiment.data.train.digest


def test_an_image_is_varied_alike_in_any_batch(recipe_of: RecipeOf, tmp_path: Path) -> None:
    from seqcli.build.batches import load_batch

    recipe = recipe_of(*QUESTIONS, "source.image.augment={shift: 0.2, flip: true, colour: 0.5}")
    data = prepare(recipe, tmp_path / "run").data
    # 20 questions an image: rows of the second, the first, the third and the first again
    rows = np.array([25, 3, 41, 7])
    together = load_batch(recipe, data, rows, 2)
    assert together.image is not None
    assert together.image_of is not None
    assert len(together.image) == 3
    for place, row in enumerate(rows):
        alone = load_batch(recipe, data, np.array([row]), 2)
        assert alone.image is not None
        assert np.array_equal(alone.image[0].numpy(), together.image[together.image_of[place]].numpy())


def test_batches_are_bounded_by_the_cells_of_images(recipe_of: RecipeOf, tmp_path: Path) -> None:
    from seqcli.build.batches import image_cells, plan_epoch

    recipe = recipe_of("training={steps: 1, batch_tokens: 120}")
    assert image_cells(recipe) == 24  # 24 × 16 pixels, halved twice: 6 × 4
    plan = plan_epoch(recipe, prepare(recipe, tmp_path / "run").data, 0)
    # EOS is a symbol too: 120 / 25
    assert max(len(rows) for rows in plan) == 4


def test_images_of_every_form_are_translated_alike(captions: seqcli.Run, tmp_path: Path) -> None:
    pixels = drawn(3)
    expected = captions.translate(images=pixels)
    assert len(expected) == 3
    assert captions.translate(images=[as_png(one) for one in pixels]) == expected
    paths = [as_file(tmp_path, f"{number}.png", one) for number, one in enumerate(pixels)]
    assert captions.translate(images=paths) == expected
    assert captions.translate(images=np.stack(pixels)) == expected  # type: ignore[arg-type]
    assert captions.translate(images=[paths[0], as_png(pixels[1]), pixels[2]]) == expected
    assert captions.translate(images=[]) == []


def test_attention_of_images(captions: seqcli.Run, questions: seqcli.Run) -> None:
    pixels = drawn(2)
    maps = captions.attention(images=pixels, targets=["a small red circle", "a large blue square"])
    assert [one.target[:2] for one in maps] == [("a", "small"), ("a", "large")]
    for one in maps:
        assert one.cells is not None
        assert one.image is not None
        assert one.cells.shape == (1, 1, 5, 4, 6)
        assert one.image.shape == (16, 24, 3)
        assert one.source == ()
        assert np.allclose(one.cells.sum(axis=(-2, -1)), 1, atol=1e-5)
    asked = questions.attention(["is it red ?"], ["yes"], images=pixels[:1])[0]
    assert asked.cells is not None
    assert len(asked.source) == 5
    assert np.allclose(asked.cells.sum(axis=(-2, -1)) + asked.cross.sum(axis=-1), 1, atol=1e-5)


def test_what_is_mixed_up_is_refused(captions: seqcli.Run, questions: seqcli.Run, copy_run: Path) -> None:
    one = drawn(1)
    for run, given, told in (
        (captions, {"texts": ["a"]}, "this run reads no texts"),
        (captions, {"texts": ["a"], "images": one}, "this run reads no texts"),
        (seqcli.load(copy_run), {"images": one}, "this run reads no images"),
        (seqcli.load(copy_run), {"texts": ["ab"], "images": one}, "this run reads no images"),
        (questions, {"texts": ["a"]}, "this run reads images: one for each source, but there are 0 for 1"),
        (questions, {"images": one}, "this run reads texts: one for each source, but there are 0 for 1"),
        (questions, {"texts": ["a"], "images": one * 2}, "reads texts: one for each source, but there are 1 for 2"),
        (captions, {"images": "a.png"}, "put a single one into a list"),
        (captions, {"images": b"\x89PNG"}, "put a single one into a list"),
        (captions, {"images": ["nowhere.png"]}, "nowhere.png: the image cannot be read (there is no such file)"),
        (captions, {"images": [*one, b"x"]}, "image 2: the image cannot be read"),
        (questions, {"texts": ["a", "b"], "images": [*one, b"x"]}, "text 2: the image cannot be read"),
        (captions, {"images": [one[0].transpose(1, 2, 0)]}, "image 1: has pixels of the shape (32, 32, 3), but"),
        (captions, {"images": [one[0] / 255]}, "image 1: holds features, but source.image reads pixels"),
    ):
        for call in (run.translate, run.attention):
            with pytest.raises(DataError) as raised:
                call(**given)  # type: ignore[operator]
            assert told in str(raised.value)
    with pytest.raises(DataError, match="1 sources, but 2 targets"):
        captions.attention(images=one, targets=["a", "b"])


def test_a_question_may_be_blank(questions: seqcli.Run) -> None:
    answers = questions.translate(["", "is it red ?"], images=drawn(2))
    assert len(answers) == 2


def test_evaluation_of_images(captions: seqcli.Run, questions: seqcli.Run) -> None:
    found = captions.evaluate("test", metrics=["loss", "exact_match", "pointing"])
    assert len(found.examples) == 100
    assert 0 <= found.metrics["pointing"].value <= 100
    grouped = questions.evaluate("test", metrics=["exact_match"], groups=True)
    assert {one.group for one in grouped.groups} == {
        one.group for one in read_shape_questions("test", seed=1, size=32, scenes=3).read()
    }


def jsonl_run(recipe: Recipe, folder: Path) -> seqcli.Run:
    list(prepare(recipe, folder).train())
    return seqcli.load(folder)


def test_grids_of_features_from_end_to_end(recipe_of: RecipeOf, tmp_path: Path) -> None:
    import json

    grids = np.random.default_rng(1).random((8, 2, 3, 4), dtype=np.float32)
    (tmp_path / "grids").mkdir()
    for number, grid in enumerate(grids):
        np.save(tmp_path / "grids" / f"{number}.npy", grid)
    named = [{"image": f"grids/{number}.npy", "text": f"a {'bc'[number % 2]}"} for number in range(8)]
    nested = [{**row, "image": grid.tolist()} for row, grid in zip(named, grids, strict=True)]
    runs = []
    for name, rows in (("named", named), ("nested", nested)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        data = f"data={{kind: files, train: {tmp_path}/{name}.jsonl, columns: {{image: image, source: null, target: text}}}}"
        runs.append(jsonl_run(recipe_of(data, *FEATURES), tmp_path / name))
    expected = runs[0].translate(images=list(grids))
    assert runs[1].translate(images=list(grids)) == expected
    assert runs[0].translate(images=[str(tmp_path / "grids" / f"{number}.npy") for number in range(8)]) == expected
    maps = runs[0].attention(images=[grids[0]], targets=["a b"])[0]
    assert maps.image is None
    assert maps.cells is not None
    assert maps.cells.shape[-2:] == (2, 3)


def test_a_grid_of_three_rows_is_no_picture(recipe_of: RecipeOf, tmp_path: Path) -> None:
    import json

    grid = np.zeros((3, 2, 4), dtype=np.float32)
    (tmp_path / "x.jsonl").write_text(json.dumps({"image": grid.tolist(), "text": "a b"}) + "\n")
    data = f"data={{kind: files, train: {tmp_path}/x.jsonl, columns: {{image: image, source: null, target: text}}}}"
    run = jsonl_run(
        recipe_of(data, FEATURES[1], "source.image={kind: features, rows: 3, columns: 2, size: 4}"), tmp_path / "r"
    )
    assert run.attention(images=[grid], targets=["a b"])[0].image is None


def test_going_on_with_other_images_is_refused(recipe_of: RecipeOf, tmp_path: Path) -> None:
    import json

    for number, pixels in enumerate(drawn(4)):
        as_file(tmp_path, f"{number}.png", pixels)
    rows: Iterator[dict[str, Any]] = ({"image": f"{number}.png", "text": f"a {number}"} for number in range(4))
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = f"data={{kind: files, train: {tmp_path}/x.jsonl, columns: {{image: image, source: null, target: text}}}}"
    list(prepare(recipe_of(data), tmp_path / "run").train())
    prepare(recipe_of(data), tmp_path / "run")
    as_file(tmp_path, "2.png", 255 - drawn(3)[2])
    with pytest.raises(DataError, match="the training data is not what .* was trained on"):
        prepare(recipe_of(data), tmp_path / "run")


def test_several_captions_are_learnt_apart_and_scored_together(recipe_of: RecipeOf, tmp_path: Path) -> None:
    import json

    as_file(tmp_path, "0.png", drawn(1)[0])
    text = json.dumps({"image": "0.png", "one": "a b", "others": ["c", "d", None], "many": ["a b", "e"]}) + "\n"
    (tmp_path / "x.jsonl").write_text(text)
    both = f"train: {tmp_path}/x.jsonl, validation: {tmp_path}/x.jsonl, test: {tmp_path}/x.jsonl"
    experiment = prepare(
        recipe_of(f"data={{kind: files, {both}, columns: {{image: image, source: null, target: [one, others]}}}}"),
        tmp_path / "targets",
    )
    train, validation = experiment.data.train, experiment.data.validation
    assert [train.example(row).target for row in range(len(train))] == ["a b", "c", "d"]
    assert validation is not None
    assert [(validation.example(0).target, validation.example(0).references)] == [("a b", ("a b", "c", "d"))]
    assert len(validation) == 1
    given = prepare(
        recipe_of(
            f"data={{kind: files, {both}, columns: {{image: image, source: null, target: one, references: many}}}}"
        ),
        tmp_path / "references",
    )
    assert [given.data.train.example(row).target for row in range(len(given.data.train))] == ["a b"]
