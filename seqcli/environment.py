"""What a run is made with: versions, the code's commit, the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import seqcli


def environment(device: torch.device) -> dict[str, Any]:
    """What a run that starts here and now on this device is made with, as plain values; `commit` only where seqcli is run from a git checkout."""
    commit = commit_of(Path(seqcli.__file__).parents[1])
    return {
        "seqcli": seqcli.__version__,
        **({} if commit is None else {"commit": commit}),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def commit_of(checkout: Path) -> str | None:
    """The commit that a checkout is at, with `-dirty` where tracked files differ from it; None where there is no checkout, or no git."""
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=7", "--dirty", "--exclude=*"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None


def processor(listing: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name; its architecture where the system tells no more."""
    try:
        lines = listing.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
