"""What all tests share: the real data where it is there, and a quiet machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm import warm_python

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets that lies beside a developer's checkout, or wherever SEQCLI_TEST_DATA says."""
    folder = Path(os.environ.get("SEQCLI_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not here ({folder}); set SEQCLI_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Encoded data goes to a folder of the tests, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def run_files() -> set[str]:
    """What is in a run directory whose tokenizers are not subwords."""
    return {
        "recipe.yaml",
        "source.json",
        "target.json",
        "environment.json",
        "data.json",
        "metrics.jsonl",
        "checkpoints",
    }


@pytest.fixture(scope="session")
def python() -> Iterator[Path]:
    """A program that runs `-m seqcli …` as Python does, but sooner (warm.py)."""
    # not among pytest's folders, whose names are too long for the address of a socket
    with tempfile.TemporaryDirectory() as folder, warm_python(Path(folder)) as program:
        yield program


TINY = (
    "data={kind: copy, alphabet: 4, longest: 5, examples: 1000}",
    "model.encoder={kind: gru, hidden_size: 24, embedding_size: 16, bidirectional: true}",
    "model.decoder={kind: gru, hidden_size: 48, embedding_size: 16, attention: {kind: dot}}",
    "training={steps: 150, batch_tokens: 512, optimizer: {kind: adamw, learning_rate: 2e-2}, schedule: {kind: cosine}}",
    "training.log_every=10",
    "training.validate_every=50",
    "training.checkpoint_every=50",
    "training.average=2",
    "threads=1",
)
"""Overrides that make of the copy recipe one that is learnt in seconds."""


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """The overrides of `copy_run`."""
    return TINY


@pytest.fixture(scope="session")
def copy_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """The run directory of a small GRU with attention that has learnt to copy up to five letters out of abcd. Read-only!"""
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    folder = tmp_path_factory.mktemp("runs") / "copy"
    experiment = prepare(load_recipe("copy", TINY), folder)
    records = list(experiment.train())
    assert records[-1].step == 150
    return folder


@pytest.fixture(scope="session")
def early_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """The run directory of the same recipe after so few steps that it has not learnt to copy yet. Read-only!"""
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    folder = tmp_path_factory.mktemp("runs") / "early"
    list(prepare(load_recipe("copy", (*TINY, "training.steps=60", "seed=2")), folder).train())
    return folder
