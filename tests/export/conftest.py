"""A small Transformer to export."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def transformer_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """The run directory of a small Transformer that has begun to learn to sort letters, so that it is in doubt: a beam matters. Read-only!"""
    from seqcli.experiment import prepare
    from seqcli.recipe.load import load_recipe

    folder = tmp_path_factory.mktemp("runs") / "sort"
    stack = "kind: transformer, hidden_size: 32, layers: 2, heads: 4, feedforward_size: 48"
    overrides = [
        "data={kind: sort, alphabet: 12, shortest: 1, longest: 12, examples: 1000}",
        f"model.encoder={{{stack}}}",
        f"model.decoder={{{stack}, norm: post, activation: gelu}}",
        "training={steps: 80, batch_tokens: 512, label_smoothing: 0.1, optimizer: {kind: adamw, learning_rate: 5e-3}}",
        "training.validate_every=80",
        "search={beam_size: 5}",
        "threads=1",
    ]
    list(prepare(load_recipe("sort", overrides), folder).train())
    return folder
