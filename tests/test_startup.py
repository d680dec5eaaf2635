"""The commands that need no model answer at once: nothing heavy is imported for them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "datasets",
    "pandas",
    "pyarrow",
    "matplotlib",
    "sacrebleu",
    "sentencepiece",
    "safetensors",
    "numpy",
    "tensorboard",
    "wandb",
    "trackio",
)

PROBE = """
import sys
from seqcli.__main__ import main
sys.argv = ["seqcli", *sys.argv[1:]]
try:
    main()
except SystemExit as ending:
    assert not ending.code, ending.code
print("HEAVY:", *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def heavy_imports(*arguments: str) -> list[str]:
    """Runs a command in a fresh interpreter, and says which heavy libraries it has imported."""
    probe = [sys.executable, "-c", PROBE.format(heavy=HEAVY), *arguments]
    ended = subprocess.run(probe, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout
    return ended.stderr.split("HEAVY:")[1].split()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["average", "--help"],
        ["eval", "--help"],
        ["translate", "--help"],
        ["visualize", "attention", "--help"],
        ["recipe", "schema"],
        ["recipe", "ls"],
        ["recipe", "validate", "dates", "training.steps=5"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    assert heavy_imports(*arguments) == []


def test_the_probe_sees_heavy_imports() -> None:
    code = "import seqcli, sys; seqcli.load; sys.exit('torch' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_help_is_instant() -> None:
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "seqcli", "--help"], capture_output=True, timeout=60, check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    # processor time, because the clock on the wall also counts what other programs do
    assert 0 < min(seconds) < 0.5
