"""seqcli: train, evaluate, run and see sequence-to-sequence models from the shell.

From Python: `seqcli.load("runs/dates").translate(["samstag, 5. märz 2011"])`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqcli.run import Run, load

__all__ = ["Run", "__version__", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # torch takes a second to import, so the names that need it come when they are asked for
    if name in ("Run", "load"):
        from seqcli import run

        return getattr(run, name)
    raise AttributeError(f"module 'seqcli' has no attribute {name!r}")
