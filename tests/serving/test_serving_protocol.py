"""Connections: how many there may be, and what becomes of clients that do not read."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from starlette.responses import Response  # noqa: E402

from seqcli.errors import RecipeError  # noqa: E402
from seqcli.serving.limits import Limits  # noqa: E402
from seqcli.serving.metrics import Metrics  # noqa: E402
from seqcli.serving.protocol import Settings  # noqa: E402
from seqcli.serving.server import Server, address_of, bind  # noqa: E402

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = 50_000_000


@pytest.fixture
def port() -> Iterator[int]:
    """A server of large answers, which takes 3 connections, and waits half a second for clients to read."""
    limits = replace(Limits(), connections=3, writing=0.5, reading=30)
    bound, started = bind("127.0.0.1", 0), threading.Event()
    app = Response(b"x" * LARGE)
    server = Server(Settings(app, limits, Metrics()), started.set, lambda under_way: None)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    assert started.wait(10)
    yield int(address_of(bound).rpartition(":")[2])
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def read(connection: socket.socket) -> int:
    """How many bytes come until the end."""
    count = 0
    try:
        while got := connection.recv(1 << 20):
            count += len(got)
            if count > LARGE:
                break
    except ConnectionResetError:
        return -1
    return count


def test_who_reads_gets_all(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(REQUEST)
        assert read(connection) > LARGE


def test_who_does_not_read_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(REQUEST)
        time.sleep(2)
        assert read(connection) < LARGE


def test_too_many_connections_are_answered_and_closed(port: int) -> None:
    kept = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(3)]
    time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as fourth:
        got = b"".join(iter(lambda: fourth.recv(65536), b""))
    assert got.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1" in got.lower()
    for each in kept:
        each.close()
    time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(REQUEST)
        assert read(connection) > LARGE


def test_the_address_names_the_port() -> None:
    with bind("127.0.0.1", 0) as bound:
        assert address_of(bound).startswith("http://127.0.0.1:")


def test_an_address_of_the_newer_kind() -> None:
    try:
        bound = bind("::1", 0)
    except RecipeError:
        pytest.skip("this machine has no IPv6")
    with bound:
        assert address_of(bound).startswith("http://[::1]:")
