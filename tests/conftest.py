"""What all tests share: the real data where it is there, and a quiet machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets that lies beside a developer's checkout, or wherever SEQCLI_TEST_DATA says."""
    folder = Path(os.environ.get("SEQCLI_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not here ({folder}); set SEQCLI_TEST_DATA to their folder")
    return folder
