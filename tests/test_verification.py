"""`--verify-resume`: says yes to what resumes exactly, and names the first tensor that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import seqcli.training.checkpoint as module
from seqcli.recipe.load import load_recipe
from seqcli.verification import verify_resume

OVERRIDES = (
    "data={kind: copy, alphabet: 4, longest: 5, examples: 100}",
    "training={epochs: 3, batch_tokens: 128, moving_average: 0.9, accumulation: 2}",
    "model={encoder: {kind: gru, hidden_size: 8, embedding_size: 8}, decoder: {kind: gru, hidden_size: 8, embedding_size: 8}, dropout: 0.3}",
    "evaluation.metrics=[loss]",
    "threads=1",
)


def test_a_run_that_resumes_exactly() -> None:
    assert verify_resume(load_recipe("copy", OVERRIDES), 4) == []


def test_a_run_that_forgets_its_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then dropout draws anew, and all weights that were learnt since are others; the first is named first."""
    monkeypatch.setattr(module.torch, "set_rng_state", lambda state: torch.manual_seed(99))
    differing = verify_resume(load_recipe("copy", OVERRIDES), 4)
    assert differing[0] == "encoder.embedding.weight"
    assert "output.weight/mean" in differing
    assert differing[-1] == "random state"


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from seqcli.__main__ import main

    run: Callable[[], None] = main
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["seqcli", "train", "copy", *OVERRIDES, "--verify-resume"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code in (0, None)
    assert "the same to the last bit" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "nothing is left behind"
