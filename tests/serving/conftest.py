"""Runs to be served, and a server that many tests ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, serving


@pytest.fixture(scope="session")
def served(copy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The copy run, by a server that has little patience."""
    log = tmp_path_factory.mktemp("served") / "log"
    with serving(copy_run, log, "--read-timeout", "1") as one:
        yield one


CAPTIONS = """\
seed: 1
data: {kind: shapes_captions, size: 32, examples: 60}
source: {image: {kind: pixels, width: 24, height: 16}}
target: {tokenizer: {kind: words}}
model:
  encoder: {kind: conv, hidden_size: 16, channels: [4, 8], blocks: 1}
  decoder: {kind: gru, hidden_size: 16, embedding_size: 8, attention: {kind: additive}}
training: {steps: 30, batch_sentences: 8, optimizer: {kind: adamw, learning_rate: 2e-2}}
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


def _image_run(folder: Path, *overrides: str) -> Path:
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    (folder / "recipe.yaml").write_text(CAPTIONS)
    list(prepare(load_recipe(str(folder / "recipe.yaml"), overrides), folder / "run").train())
    return folder / "run"


@pytest.fixture(scope="session")
def captions_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run that reads images."""
    return _image_run(tmp_path_factory.mktemp("captions"))


@pytest.fixture(scope="session")
def questions_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run that reads images and questions on them."""
    return _image_run(tmp_path_factory.mktemp("questions"), *QUESTIONS)


@pytest.fixture(scope="session")
def captions(captions_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of images, which may not be large."""
    with serving(captions_run, tmp_path_factory.mktemp("captions") / "log", "--max-body", "300000") as one:
        yield one


@pytest.fixture(scope="session")
def questions(questions_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of images and questions on them."""
    with serving(questions_run, tmp_path_factory.mktemp("questions") / "log") as one:
        yield one
