"""`seqcli serve` before it serves: what it refuses, in one sentence each."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_a_port_that_is_taken(call: Call, copy_run: Path) -> None:
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = call("serve", copy_run, "--port", port)
    assert result.code == 1
    assert result.out == ""
    assert result.err == (
        f"port {port} of 127.0.0.1 is taken by another program; give another --port, or 0 for any free one\n"
    )


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "a b"])
def test_an_address_that_is_none_of_this_machine(call: Call, copy_run: Path, host: str) -> None:
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    result = call("serve", copy_run, "--port", 0, "--host", host)
    assert (result.code, result.err) == (2, f"--host {host}: there is no such address of this machine\n")


def test_a_run_that_is_none(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    result = call("serve", tmp_path, "--port", 0)
    assert result.code == 2
    assert "is no run directory" in result.err


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "python-multipart"])
def test_the_extra_is_named_where_it_is_missing(
    call: Call, copy_run: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing.replace("-", "_"), None)
    result = call("serve", copy_run, "--port", 0)
    assert (result.code, result.err) == (
        2,
        f"seqcli serve needs {missing}, which is not installed; in the folder of seqcli: pip install '.[serve]'\n",
    )


@pytest.mark.parametrize("option", ["--queue", "--batch", "--max-sources", "--max-characters", "--max-pixels"])
def test_limits_are_at_least_one(call: Call, copy_run: Path, option: str) -> None:
    assert call("serve", copy_run, option, 0).code == 2
