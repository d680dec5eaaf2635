"""The commands that need no model answer at once: nothing heavy is imported for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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


TEXTS = """
import io, json, sys
from seqcli.__main__ import main
from seqcli.extras import EXTRAS
data = "data={kind: copy, alphabet: 4, longest: 5, examples: 100}"
quick = ["training.steps=2", "training.validate_every=2", "search.beam_size=2", "threads=1"]
for command in (
    ["train", "copy", data, *quick, "run=run"],
    ["eval", "run"],
    ["translate", "run", "--input", "words.txt"],
    ["score", "run", "words.txt", "words.txt"],
    ["recipe", "ls"],
):
    sys.argv = ["seqcli", *command]
    try:
        main()
    except SystemExit as ending:
        assert not ending.code, (command, ending.code)
modules = sorted({module for packages in EXTRAS.values() for module in packages})
print(json.dumps([modules, [module for module in modules if module in sys.modules]]))
"""


def test_texts_are_trained_on_and_translated_without_any_extra(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a b c\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ended = subprocess.run(
        [sys.executable, "-c", TEXTS], capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    looked_for, imported = json.loads(ended.stdout.splitlines()[-1])
    assert {"matplotlib", "PIL", "starlette", "onnx"} <= set(looked_for)
    assert imported == []


def test_help_is_instant() -> None:
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "seqcli", "--help"], capture_output=True, timeout=60, check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    # processor time, because the clock on the wall also counts what other programs do
    assert 0 < min(seconds) < 0.5
