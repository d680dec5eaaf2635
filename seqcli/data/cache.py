"""Where encoded data and learnt tokenizers are kept between runs, and the keys they are found by."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import warnings
from pathlib import Path

FORMAT = 1
"""Raised whenever what is kept in the cache changes its form: older entries are then no longer found."""


def cache_folder() -> Path:
    """$SEQCLI_CACHE, else $XDG_CACHE_HOME/seqcli, else ~/.cache/seqcli.

    Where that cannot be written, a temporary folder that is removed when the program ends, with a warning.
    """
    chosen = os.environ.get("SEQCLI_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    folder = Path(chosen or os.path.join(base, "seqcli"))
    try:
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    # RuntimeError where nobody knows the home directory
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"the cache {folder} cannot be written ({getattr(error, 'strerror', None) or error}), so this run encodes its data for itself; "
            "SEQCLI_CACHE names another folder",
            stacklevel=2,
        )
    temporary = Path(tempfile.mkdtemp(prefix="seqcli-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return temporary


def cache_key(*parts: object) -> str:
    """A name for what is made of `parts` (texts, numbers, None): the same for the same parts, in every process."""
    return hashlib.blake2b(repr((FORMAT, *parts)).encode(), digest_size=16).hexdigest()
