"""A run's short list: learnt once from its training data, kept beside it, refused where there is nothing to learn it from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import seqcli
from seqcli.build.shortlist import FILE


@pytest.fixture
def run(copy_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(copy_run, tmp_path / "run"))


def test_it_is_learnt_once_and_kept(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = seqcli.load(run, ["search.shortlist={best: 1, usual: 1}"])
    assert loaded.translate(["abc", "d"]) == ["abc", "d"]
    shortlist = loaded.settings().shortlist
    assert shortlist is not None
    # strings are copied, so a letter's best translation is itself
    letters = loaded.translator.source_tokenizer.encode("abcd")
    assert shortlist.best[letters, 0].tolist() == letters
    assert (run / FILE).is_file()

    monkeypatch.setattr("seqcli.build.shortlist.encode_split", None)  # it is not learnt again
    again = seqcli.load(run, ["search.shortlist={best: 1, usual: 1}"]).settings().shortlist
    assert again is not None
    assert again.best.equal(shortlist.best)


@pytest.mark.parametrize("damage", [b"", b"no archive"], ids=["empty", "other"])
def test_another_size_or_a_damaged_file_is_learnt_anew(run: Path, damage: bytes) -> None:
    assert seqcli.load(run, ["search.shortlist={best: 1}"]).settings().shortlist is not None
    wider = seqcli.load(run, ["search.shortlist={best: 3}"]).settings().shortlist
    assert wider is not None
    assert wider.best.shape[1] == 3
    (run / FILE).write_bytes(damage)
    again = seqcli.load(run, ["search.shortlist={best: 3}"]).settings().shortlist
    assert again is not None
    assert again.best.equal(wider.best)
