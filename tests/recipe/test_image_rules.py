"""The rules about images: each is broken here, and kept by a recipe next to it."""

from __future__ import annotations

import pytest

from seqcli.recipe.image_rules import IMAGE_RULES
from seqcli.recipe.rules import RULES

CAPTIONS = """\
seed: 1
data: {kind: files, train: a.parquet, columns: {image: picture, source: null, target: caption}}
source: {image: {kind: pixels, width: 32, height: 16}}
target: {tokenizer: {kind: words}}
model:
  encoder: {kind: conv, hidden_size: 16, channels: [8, 16]}
  decoder: {kind: gru, hidden_size: 16, attention: {kind: dot}}
training: {steps: 10}
"""
QUESTIONS = [
    "data.columns.source=question",
    "source.tokenizer={kind: words}",
    "model.encoder={kind: image_text, image: {kind: patch, hidden_size: 16, patch_size: 8, heads: 4}, text: {kind: gru, hidden_size: 16}}",
]
FEATURES = [
    "source.image={kind: features, rows: 2, columns: 3, size: 8}",
    "model.encoder={kind: features, hidden_size: 16}",
]
TEXT = ["source.tokenizer={kind: words}", "model.encoder={kind: gru, hidden_size: 16}"]

BROKEN: dict[str, tuple[list[str], str, str]] = {
    "tasks of images without a text": (
        ["data={kind: tasks, tasks: {a: {kind: files, train: a.parquet, columns: {image: picture, source: null}}}}"],
        "data.kind",
        "tasks are told apart by a symbol before the text, but source.tokenizer is null; choose an encoder that reads text",
    ),
    "tasks without images": (
        ["data={kind: tasks, tasks: {a: {kind: copy}, b: {kind: copy, seed: 2}}}", *QUESTIONS[1:]],
        "source.image",
        "data of kind copy has no images; choose hub, disk or files",
    ),
    "a task without its image": (
        ["data={kind: tasks, tasks: {a: {kind: files, train: a.parquet}}}", *QUESTIONS[1:]],
        "data.tasks.a.columns.image",
        "is missing; it names the column that source.image is read from",
    ),
    "a tokenizer for an image": (
        ["source.tokenizer={kind: words}", "data.columns.source=question"],
        "source.tokenizer",
        "an encoder of kind conv reads no text; set source.tokenizer to null, or choose image_text",
    ),
    "a text encoder without a tokenizer": (
        ["model.encoder={kind: gru, hidden_size: 16}", "source.image=null", "data.columns={source: q, target: t}"],
        "source.tokenizer",
        "is missing; an encoder of kind gru reads text",
    ),
    "a question without a tokenizer": (
        [QUESTIONS[2]],
        "source.tokenizer",
        "is missing; an encoder of kind image_text reads text",
    ),
    "a short list of what images need": (
        ["search.shortlist={}"],
        "search.shortlist",
        "is learnt from pairs of texts, but these sources are images",
    ),
    "a shared tokenizer that is not there": (
        ["target.tokenizer={kind: shared}"],
        "target.tokenizer.kind",
        "shared is the source's tokenizer, but there is none",
    ),
    "an image that nothing looks at": (
        [*TEXT, "data.columns.source=q"],
        "source.image",
        "an encoder of kind gru looks at no image; choose conv, patch or features",
    ),
    "no image": (
        ["source.image=null", "data.columns={source: null, target: caption}"],
        "source.image",
        "is missing; an encoder of kind conv reads images of kind pixels",
    ),
    "features for a convolution": (
        [FEATURES[0]],
        "source.image.kind",
        "an encoder of kind conv reads images of kind pixels",
    ),
    "pixels for features": ([FEATURES[1]], "source.image.kind", "reads images of kind features"),
    "features of what is drawn": (
        [*FEATURES, "data={kind: shapes_captions}"],
        "source.image.kind",
        "data of kind shapes_captions draws pictures; choose pixels",
    ),
    "data that has no images": (
        ["data={kind: dates}"],
        "source.image",
        "data of kind dates has no images; choose hub, disk or files",
    ),
    "a text of captions": (
        [*QUESTIONS[1:], "data={kind: shapes_captions}"],
        "source.tokenizer",
        "shapes_captions has no text to read",
    ),
    "no column of images": (
        ["data.columns={source: null, target: caption}"],
        "data.columns.image",
        "is missing; it names the column that source.image is read from",
    ),
    "a column of images for nothing": (
        [*TEXT, "source.image=null", "data.columns.source=q"],
        "data.columns.image",
        "is not looked at; give source.image, or leave it out",
    ),
    "a column of texts for nothing": (
        ["data.columns.source=question"],
        "data.columns.source",
        "is not read, since source.tokenizer is null",
    ),
    "no column of texts": (
        QUESTIONS[1:],
        "data.columns.source",
        "is null, but source.tokenizer reads a text; name its column",
    ),
    "tags without a text": (
        ["data.columns.features=tags"],
        "data.columns.features",
        "are symbols before a text, but source.tokenizer is null",
    ),
    "boxes without an image": (
        [*TEXT, "source.image=null", "data.columns={source: q, target: t, boxes: b}"],
        "data.columns.boxes",
        "are places in an image, but there is none",
    ),
    "boxes in features": (
        [*FEATURES, "data.columns.boxes=b"],
        "data.columns.boxes",
        "are in pixels, but source.image reads features, which have none",
    ),
    "references twice": (
        ["data.columns.target=[one, other]", "data.columns.references=all"],
        "data.columns.references",
        "several target columns would too; leave one of both out",
    ),
    "image and text of two widths": (
        [*QUESTIONS, "model.encoder.text.bidirectional=true", "model.decoder.attention.kind=additive"],
        "model.encoder.image.hidden_size",
        "their states are 16 and 32 wide; set this to 32",
    ),
    "a question whose image is not seen": (
        [*QUESTIONS, "model.decoder.attention.kind=none"],
        "model.decoder",
        "has no attention, so it never sees the image",
    ),
    "a question for a feedforward decoder": (
        [*QUESTIONS, "model.decoder={kind: feedforward}"],
        "model.decoder",
        "so it never sees the image; choose an attention",
    ),
    "waves over a grid": (
        ["model.encoder.hidden_size=18", "model.decoder.hidden_size=18"],
        "model.encoder.hidden_size",
        "need a multiple of 4, not 18",
    ),
    "a picture halved away": (
        ["model.encoder.channels=[1, 2, 3, 4, 5]"],
        "model.encoder.channels",
        "5 stages halve 32 × 16 pixels to less than one cell",
    ),
    "blocks for other stages": (
        ["model.encoder.channels=[1, 2, 3]", "model.encoder.blocks=[1, 2]"],
        "model.encoder.blocks",
        "has 2 numbers for the 3 stages that channels names",
    ),
    "patches that do not fit": (
        [*QUESTIONS, "source.image.width=36"],
        "model.encoder.image.patch_size",
        "36 × 16 pixels cannot be cut into whole patches of 8",
    ),
    "cells that make no whole patches": (
        [
            "source.image={kind: pixels, width: 75, height: 75}",
            "model.encoder={kind: patch, stem: [16, 32], patch_size: 2, hidden_size: 16}",
        ],
        "model.encoder.patch_size",
        "19 × 19 cells of the stem's map cannot be cut into whole patches of 2",
    ),
    "images to share that are not there": (
        [*TEXT, "data.columns={source: q, target: caption}", "source.image=null", "training.share_images=4"],
        "training.share_images",
        "there are no images to share",
    ),
    "heads of patches": (
        [*QUESTIONS, "model.encoder.image.heads=3"],
        "model.encoder.image.heads",
        "3 heads cannot share",
    ),
}

KEPT = [
    [],
    ["model.encoder.channels=[1, 2, 3, 4]"],
    ["model.encoder.channels=[1, 2, 3, 4]", "model.encoder.blocks=[1, 1, 1, 3]"],
    ["model.encoder={kind: conv, hidden_size: 18, positions: learned}", "model.decoder.hidden_size=18"],
    ["model.encoder={kind: patch, hidden_size: 16, patch_size: 16, heads: 4}"],
    ["data.columns.boxes=b", "data.columns.references=r", "data.columns.group=g"],
    ["data.columns.target=[one, other]", "data.columns.boxes=b"],
    ["data={kind: shapes_captions}"],
    QUESTIONS,
    [*QUESTIONS, "data={kind: shapes_questions}"],
    [*QUESTIONS, "data.columns.features=tags"],
    [*QUESTIONS, "target.tokenizer={kind: shared}"],
    FEATURES,
    [*TEXT, "source.image=null", "data.columns={source: q, target: [one, other]}"],
]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_told(mistakes, name: str) -> None:
    overrides, path, message = BROKEN[name]
    told = mistakes(CAPTIONS, *overrides)
    assert len(told) == 1
    assert f"  {path}  " in told[0]
    assert message in told[0]


@pytest.mark.parametrize("overrides", KEPT, ids=" ".join)
def test_a_kept_rule_is_silent(mistakes, overrides: list[str]) -> None:
    assert mistakes(CAPTIONS, *overrides) == []


def test_every_rule_is_broken_above() -> None:
    assert len(IMAGE_RULES) == 7
    assert set(IMAGE_RULES) <= set(RULES)
    assert len(BROKEN) >= 2 * len(IMAGE_RULES)
