"""What a run is made with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from seqcli.environment import commit_of, environment, processor

CPU = torch.device("cpu")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one\n")
    git("add", "file")
    git("commit", "-m", "one")
    git("tag", "v1")
    return tmp_path


def test_the_commit_is_what_git_says(checkout: Path) -> None:
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    assert commit_of(checkout) == head[:7]


def test_a_changed_checkout_is_said_to_be_dirty(checkout: Path) -> None:
    (checkout / "file").write_text("two\n")
    assert (commit_of(checkout) or "").endswith("-dirty")


def test_without_a_checkout_or_git_there_is_no_commit(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert commit_of(tmp_path / "none") is None
    monkeypatch.setenv("PATH", "")
    assert commit_of(checkout) is None


def test_the_processor_has_its_name(tmp_path: Path) -> None:
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor\t: 0\nmodel name\t: Abacus 3\nprocessor\t: 1\nmodel name\t: Abacus 3\n")
    assert processor(listing) == "Abacus 3"
    assert processor(tmp_path / "none")
    assert processor(tmp_path / "none") != "Abacus 3"


def test_every_value_can_be_told() -> None:
    assert all(isinstance(value, str | int) and value != "" for value in environment(CPU).values())


def test_the_device_is_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"GPU {device.index}")
    assert environment(CPU)["device"] == "cpu"
    assert environment(torch.device("cuda:1"))["device"] == "GPU 1"
