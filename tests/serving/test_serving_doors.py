"""Who may ask: names of hosts, origins of pages."""

from __future__ import annotations

import socket

import pytest

from seqcli.serving.doors import Doors
from seqcli.serving.refusal import Refusal


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST:8000", "localhost.", "127.0.0.1:8000", "[::1]:8000", "192.168.1.7"],
)
def test_own_names_and_addresses_are_answered_to(host: str) -> None:
    assert Doors().check({"host": host}) == {}


def test_the_machines_name_is_answered_to() -> None:
    assert Doors().check({"host": f"{socket.gethostname()}:8000"}) == {}


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "127.1.evil"]
)
def test_foreign_names_are_not(host: str) -> None:
    with pytest.raises(Refusal) as refusal:
        Doors(("translate.example.org",)).check({"host": host})
    assert refusal.value.status == 421


@pytest.mark.parametrize("host", ["a@localhost", "localhost/", "localhost:x", "localhost?", "[::1", "localhost#"])
def test_what_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(Refusal) as refusal:
        Doors(("*",)).check({"host": host})
    assert refusal.value.status == 400


def test_names_that_were_given_are_answered_to() -> None:
    doors = Doors(("translate.example.org",))
    assert doors.check({"host": "Translate.example.org:443"}) == {}
    assert Doors(("*",)).check({"host": "any.example"}) == {}
    assert doors.check({}) == {}  # HTTP/1.0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_page_of_this_server_may_ask(scheme: str) -> None:
    assert Doors().check({"host": "127.0.0.1:8000", "origin": f"{scheme}://127.0.0.1:8000"}) == {}


@pytest.mark.parametrize(
    "origin", ["null", "http://127.0.0.1", "http://127.0.0.1:8001", "https://evil.example", "file://127.0.0.1:8000", ""]
)
def test_other_pages_may_not(origin: str) -> None:
    with pytest.raises(Refusal) as refusal:
        Doors().check({"host": "127.0.0.1:8000", "origin": origin})
    assert refusal.value.status == 403


def test_an_origin_that_was_let_in_is_told_so() -> None:
    doors = Doors(origins=("https://example.org",))
    allowed = doors.check({"host": "127.0.0.1:8000", "origin": "https://example.org"})
    assert allowed == {"Access-Control-Allow-Origin": "https://example.org", "Vary": "Origin"}
    with pytest.raises(Refusal):
        doors.check({"host": "127.0.0.1:8000", "origin": "https://example.org.evil"})
