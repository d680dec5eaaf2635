"""Requests that are wrong in more than a hundred ways: each is refused with a 4xx, or its connection closed where it is no HTTP at all; the server
lives, answers the next good one, and writes no traceback."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from crowd import read_answer
from served import Served

from seqcli.serving.limits import Limits

GOOD = b'{"source": "abcd"}'
LIMITS = Limits()


class Wrong(NamedTuple):
    """A request as bytes, and the status that it must get; 0 where closing the connection is enough."""

    name: str
    sent: bytes
    status: int


def post(
    body: bytes,
    *,
    path: str = "/translate",
    kind: str | None = "application/json",
    head: str = "",
    method: str = "POST",
    length: int | str | None = None,
    host: str = "127.0.0.1",
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"Content-Type: {kind}"] if kind is not None else []
    lines += [f"Content-Length: {len(body) if length is None else length}"]
    return ("\r\n".join(lines) + "\r\n" + head + "\r\n").encode("latin-1") + body


def fields(status: int, name: str, path: str = "/translate", **given: object) -> Wrong:
    """A request whose JSON is right, and what it says wrong."""
    return Wrong(name, post(json.dumps(given).encode(), path=path), status)


def part(name: str, body: bytes, *, file: str | None = None, boundary: bytes = b"X") -> bytes:
    about = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
    return b"--" + boundary + f"\r\nContent-Disposition: {about}\r\n\r\n".encode() + body + b"\r\n"


def form(body: bytes, boundary: str | None = "X") -> bytes:
    return post(body, kind="multipart/form-data" + (f"; boundary={boundary}" if boundary else ""))


NO_JSON = {
    "nothing": b"",
    "a space": b" ",
    "a word": b"hello",
    "a single quote": b"{'source': 'abcd'}",
    "a comma too many": b'{"source": "abcd",}',
    "no colon": b'{"source" "abcd"}',
    "cut in the name": b'{"sour',
    "cut in the text": b'{"source": "ab',
    "cut before the end": b'{"source": "abcd"',
    "two objects": GOOD + GOOD,
    "rubbish after": GOOD + b"x",
    "a comment": b'{"source": "abcd" /* so */}',
    "NaN": b'{"source": "abcd", "length_penalty": NaN}',
    "Infinity": b'{"source": "abcd", "length_penalty": Infinity}',
    "minus Infinity": b'{"source": "abcd", "length_penalty": -Infinity}',
    "1e999": b'{"source": "abcd", "length_penalty": 1e999}',
    "5000 digits": b'{"source": "abcd", "nbest": ' + b"9" * 5000 + b"}",
    "100,000 digits": b'{"source": "abcd", "nbest": ' + b"9" * 100_000 + b"}",
    "a leading zero": b'{"source": "abcd", "nbest": 01}',
    "a plus": b'{"source": "abcd", "nbest": +1}',
    "a name twice": b'{"source": "abcd", "source": "dcba"}',
    "lists 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects 50,000 deep": b'{"source":' * 50_000 + b"1" + b"}" * 50_000,
    "deep within": b'{"source": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "Latin-1": '{"source": "märz"}'.encode("latin-1"),
    "UTF-16": '{"source": "abcd"}'.encode("utf-16"),
    "UTF-32": '{"source": "abcd"}'.encode("utf-32"),
    "half a character": b'{"source": "\xc3"}',
    "an overlong slash": b'{"source": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"source": "\xed\xa0\x80"}',
    "beyond Unicode": b'{"source": "\xf5\x80\x80\x80"}',
    "a NUL": b'{"source": "ab\x00cd"}',
    "a line break in a text": b'{"source": "ab\ncd"}',
    "a bad escape": b'{"source": "\\x41"}',
    "half an escape": b'{"source": "\\u12"}',
    "only NULs": b"\x00" * 100,
    "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "a form": b"source=abcd",
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtin.",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
}
OTHER_JSON = {
    "null": b"null",
    "a number": b"5",
    "a text": b'"abcd"',
    "true": b"true",
    "a list": b'["abcd"]',
    "a list of objects": b'[{"source": "abcd"}]',
    "an empty object": b"{}",
    "half a surrogate pair": b'{"source": "\\ud800"}',
    "lists 500 deep": b'{"source": ' + b"[" * 500 + b"]" * 500 + b"}",
}
VALUES = [
    fields(422, "an unknown field", source="abcd", beams=3),
    fields(422, "a field that is nearly one", surce="abcd"),
    fields(422, "a field of another route", source="abcd", target="abcd"),
    fields(422, "an image for a text", image="QUJD"),
    fields(422, "source null", source=None),
    fields(422, "source a number", source=5),
    fields(422, "source a list", source=["abcd"]),
    fields(422, "source an object", source={"text": "abcd"}),
    fields(422, "sources a text", sources="abcd"),
    fields(422, "sources empty", sources=[]),
    fields(422, "sources an object", sources={"0": "abcd"}),
    fields(422, "sources of numbers", sources=[1, 2]),
    fields(422, "sources of null", sources=[None]),
    fields(422, "sources of lists", sources=[["abcd"]]),
    fields(422, "source and sources", source="a", sources=["b"]),
    fields(422, "an unknown field in a source", sources=[{"source": "a", "soruce": "b"}]),
    fields(422, "an option in a source", sources=[{"source": "a", "nbest": 2}]),
    fields(422, "a source without source", sources=[{}]),
    fields(422, "features where there are none", source="abcd", features="V"),
    fields(413, "too many sources", sources=["a"] * (LIMITS.sources + 1)),
    fields(413, "too many characters", source="a" * (LIMITS.characters + 1)),
    fields(413, "too many characters in the last", sources=["a", "a" * (LIMITS.characters + 1)]),
    fields(422, "nbest 0", source="abcd", nbest=0),
    fields(422, "nbest negative", source="abcd", nbest=-1),
    fields(422, "nbest too large", source="abcd", nbest=LIMITS.beam_size + 1),
    fields(422, "nbest huge", source="abcd", nbest=10**20),
    fields(422, "nbest a half", source="abcd", nbest=1.5),
    fields(422, "nbest a text", source="abcd", nbest="2"),
    fields(422, "nbest true", source="abcd", nbest=True),
    fields(422, "nbest null", source="abcd", nbest=None),
    fields(422, "nbest a list", source="abcd", nbest=[1]),
    fields(422, "beam_size 0", source="abcd", beam_size=0),
    fields(422, "beam_size too large", source="abcd", beam_size=1000),
    fields(422, "beam_size a text", source="abcd", beam_size="wide"),
    fields(422, "beam_size 2.0", source="abcd", beam_size=2.0),
    fields(422, "length_penalty negative", source="abcd", length_penalty=-0.1),
    fields(422, "length_penalty too large", source="abcd", length_penalty=1e308),
    fields(422, "length_penalty false", source="abcd", length_penalty=False),
    fields(422, "length_penalty an object", source="abcd", length_penalty={}),
    fields(422, "scores 1", source="abcd", scores=1),
    fields(422, "scores a text", source="abcd", scores="yes"),
    fields(422, "attention without source", "/attention"),
    fields(422, "attention of several", "/attention", sources=["abcd"]),
    fields(422, "attention of a blank", "/attention", source=" "),
    fields(413, "attention of a long one", "/attention", source="a" * (LIMITS.shown_characters + 1)),
    fields(413, "attention on a long target", "/attention", source="a", target="a" * (LIMITS.shown_characters + 1)),
    fields(422, "attention on no text", "/attention", source="abcd", target=5),
    fields(422, "attention with nbest", "/attention", source="abcd", nbest=2),
    fields(422, "words a text", "/attention", source="abcd", words="true"),
    fields(404, "an overlay of texts", "/overlay", source="abcd"),
]
FORMS = [
    Wrong("form without boundary", form(part("source", b"abcd") + b"--X--\r\n", None), 400),
    Wrong("form with another boundary", form(part("source", b"abcd") + b"--X--\r\n", "Y"), 400),
    Wrong("form that is empty", form(b""), 400),
    Wrong("form of the end alone", form(b"--X--\r\n"), 400),
    Wrong("form that is JSON", form(GOOD), 400),
    Wrong("form without names", form(b"--X\r\nContent-Disposition: form-data\r\n\r\nabcd\r\n--X--\r\n"), 400),
    Wrong("form without headers", form(b"--X\r\n\r\nabcd\r\n--X--\r\n"), 400),
    Wrong("form cut in a part", form(part("source", b"abcd")[:-4]), 400),
    Wrong("form cut in a header", form(b"--X\r\nContent-Dispo"), 400),
    Wrong("form with a NUL in a header", form(b"--X\r\nContent-\x00: a\r\n\r\nabcd\r\n--X--\r\n"), 400),
    Wrong("form with an unknown field", form(part("sauce", b"abcd") + b"--X--\r\n"), 422),
    Wrong("form with a file", form(part("source", b"abcd", file="a.txt") + b"--X--\r\n"), 422),
    Wrong("form that is not UTF-8", form(part("source", b"m\xe4rz") + b"--X--\r\n"), 400),
    Wrong("form with nbest twice", form(part("source", b"a") + 2 * part("nbest", b"2") + b"--X--\r\n"), 422),
    Wrong("form with nbest a word", form(part("source", b"a") + part("nbest", b"two") + b"--X--\r\n"), 422),
    Wrong("form with nbest huge", form(part("source", b"a") + part("nbest", b"9" * 4000) + b"--X--\r\n"), 422),
    Wrong("form with penalty nan", form(part("source", b"a") + part("length_penalty", b"nan") + b"--X--\r\n"), 422),
    Wrong("form with scores maybe", form(part("source", b"a") + part("scores", b"maybe") + b"--X--\r\n"), 422),
    Wrong("form with 1000 sources", form(1000 * part("source", b"a") + b"--X--\r\n"), 400),
    Wrong("form with 400 sources", form(400 * part("source", b"a") + b"--X--\r\n"), 413),
]
KINDS = [
    Wrong("no content type", post(GOOD, kind=None), 415),
    Wrong("an empty content type", post(GOOD, kind=""), 415),
    Wrong("text/plain", post(GOOD, kind="text/plain"), 415),
    Wrong("text/html", post(GOOD, kind="text/html"), 415),
    Wrong("a form of an address", post(b"source=abcd", kind="application/x-www-form-urlencoded"), 415),
    Wrong("an image for texts", post(b"\x89PNG\r\n\x1a\n", kind="image/png"), 415),
    Wrong("bytes for texts", post(GOOD, kind="application/octet-stream"), 415),
    Wrong("JSON in Latin-1", post(GOOD, kind="application/json; charset=latin-1"), 415),
    Wrong(
        "a form in Latin-1",
        post(
            b'--x\r\nContent-Disposition: form-data; name="source"\r\n\r\nab\r\n--x--\r\n',
            kind="multipart/form-data; boundary=x; charset=latin-1",
        ),
        415,
    ),
    Wrong("a form in no charset", post(b"--x--\r\n", kind="multipart/form-data; boundary=x; charset=none"), 415),
    Wrong("a content type of semicolons", post(GOOD, kind=";;;;"), 415),
    Wrong("gzip is said", post(GOOD, head="Content-Encoding: gzip\r\n"), 415),
    Wrong("JSON and a query", post(GOOD, path="/translate?nbest=2"), 422),
    Wrong(
        "no Content-Length and no body", b"POST /translate HTTP/1.1\r\nHost: a\r\n\r\n".replace(b"a\r", b"::1\r"), 400
    ),
]
ROUTES = [
    Wrong("GET /translate", b"GET /translate HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    Wrong("PUT /translate", post(GOOD, method="PUT"), 405),
    Wrong("DELETE /translate", post(GOOD, method="DELETE"), 405),
    Wrong("PATCH /translate", post(GOOD, method="PATCH"), 405),
    Wrong("OPTIONS /translate", post(b"", method="OPTIONS"), 405),
    Wrong("TRACE /translate", post(b"", method="TRACE"), 405),
    Wrong("an unknown method", post(GOOD, method="FROBNICATE"), 405),
    Wrong("POST /health", post(GOOD, path="/health"), 405),
    Wrong("POST /metrics", post(GOOD, path="/metrics"), 405),
    Wrong("POST /", post(GOOD, path="/"), 405),
    Wrong("an unknown route", post(GOOD, path="/translat"), 404),
    Wrong("a slash too many", post(GOOD, path="/translate/"), 404),
    Wrong("upper case", post(GOOD, path="/TRANSLATE"), 404),
    Wrong("a path that climbs", post(GOOD, path="/../../etc/passwd"), 404),
    Wrong("a path that climbs in code", post(GOOD, path="/%2e%2e/%2e%2e/etc/passwd"), 404),
    Wrong("a path with a NUL", post(GOOD, path="/translate%00"), 404),
    Wrong("a path that is not UTF-8", post(GOOD, path="/%ff%fe"), 404),
    Wrong("a path that is no code", post(GOOD, path="/%zz"), 404),
    Wrong("a path of 10,000", post(GOOD, path="/" + "a" * 10_000), 404),
    Wrong("an absolute address", post(GOOD, path="http://example.org/translate"), 404),
    Wrong("a star", post(b"", method="OPTIONS", path="*"), 404),
    Wrong("CONNECT", b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    Wrong("another host", post(GOOD, host="example.org"), 421),
    Wrong("another host with our port", post(GOOD, host="evil.example:8000"), 421),
    Wrong("our name within another", post(GOOD, host="localhost.evil.example"), 421),
    Wrong("a host that is none", post(GOOD, host="a b"), 421),
    Wrong("a host with a path", post(GOOD, host="localhost/x"), 400),
    Wrong("a host with a user", post(GOOD, host="localhost@evil.example"), 400),
    Wrong("a host with a port of letters", post(GOOD, host="localhost:http"), 400),
    Wrong("another origin", post(GOOD, head="Origin: https://example.org\r\n"), 403),
    Wrong("an origin of null", post(GOOD, head="Origin: null\r\n"), 403),
    Wrong("an origin that begins like ours", post(GOOD, head="Origin: http://127.0.0.1.evil.example\r\n"), 403),
    Wrong("an origin at another port", post(GOOD, head="Origin: http://127.0.0.1:1\r\n"), 403),
    Wrong(
        "a preflight",
        post(b"", method="OPTIONS", head="Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n"),
        403,
    ),
]
HEAD = b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FRAMING = [
    Wrong("rubbish", b"\x00\x01\x02\x03\r\n\r\n", 400),
    Wrong("random bytes", bytes(range(256)) * 4, 400),
    Wrong("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n", 400),
    Wrong("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    Wrong("HTTP/0.9", b"GET /health\r\n\r\n", 400),
    Wrong("HTTP/3.7", b"GET /health HTTP/3.7\r\nHost: localhost\r\n\r\n", 400),
    Wrong("a version that is none", b"GET /health HTTQ/1.1\r\nHost: localhost\r\n\r\n", 400),
    Wrong("no method", b" /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    Wrong("no path", b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    Wrong("a space in the path", b"GET /he alth HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    Wrong("a path of raw UTF-8", "GET /é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), 400),
    Wrong("no Host", b"GET /health HTTP/1.1\r\n\r\n", 400),
    Wrong("two Hosts", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    Wrong("a header without a colon", b"GET /health HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n", 400),
    Wrong("a header with a space in its name", b"GET /health HTTP/1.1\r\nHost: localhost\r\na b: c\r\n\r\n", 400),
    Wrong("a space before the colon", b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    Wrong("a header with a NUL", b"GET /health HTTP/1.1\r\nHost: localhost\r\na: b\x00c\r\n\r\n", 400),
    Wrong("a header that goes on at once", b"GET /health HTTP/1.1\r\n Host: localhost\r\n\r\n", 400),
    Wrong("a header of 200,000 bytes", b"GET /health HTTP/1.1\r\nHost: localhost\r\na: " + b"b" * 200_000 + b"\r\n\r\n", 431),
    Wrong("20,000 headers", b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 20_000 + b"\r\n", 431),
    Wrong("a path of 200,000 bytes", b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    Wrong("a length that is no number", HEAD + b"Content-Length: many\r\n\r\n" + GOOD, 400),
    Wrong("a negative length", HEAD + b"Content-Length: -5\r\n\r\n" + GOOD, 400),
    Wrong("a length with a plus", HEAD + b"Content-Length: +18\r\n\r\n" + GOOD, 400),
    Wrong("a length in hex", HEAD + b"Content-Length: 0x12\r\n\r\n" + GOOD, 400),
    Wrong("a length of 500 digits", HEAD + b"Content-Length: " + b"9" * 500 + b"\r\n\r\n" + GOOD, 400),
    Wrong("two lengths", HEAD + b"Content-Length: 18\r\nContent-Length: 5\r\n\r\n" + GOOD, 400),
    Wrong("length and chunks", HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n" + GOOD + b"\r\n0\r\n\r\n", 400),
    Wrong("an unknown transfer encoding", HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + GOOD, 400),
    Wrong("chunked twice", HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + GOOD, 400),
    Wrong("a chunk whose size is no number", CHUNKED + b"zz\r\n" + GOOD + b"\r\n0\r\n\r\n", 400),
    Wrong("a chunk of negative size", CHUNKED + b"-12\r\n" + GOOD + b"\r\n0\r\n\r\n", 400),
    Wrong("a chunk without its end", CHUNKED + b"12\r\n" + GOOD + b"xx0\r\n\r\n", 400),
    Wrong("a chunk size of 40 digits", CHUNKED + b"1" * 40 + b"\r\n" + GOOD, 400),
    Wrong("a chunk extension without end", CHUNKED + b"12;" + b"a" * 200_000, 431),
    Wrong("chunks that are no JSON", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", 400),
    Wrong("chunks that are too many", CHUNKED + b"10000\r\n" * 1 + (b"a" * 65536 + b"\r\n10000\r\n") * 17, 413),
    Wrong("a body that is said to be too large", HEAD + b"Content-Length: 999999999999\r\n\r\n" + b"a" * 1000, 413),
    Wrong("a body that is too large", post(b'{"source": "' + b"a" * 2_000_000 + b'"}'), 413),
    Wrong("too large, and asks first", HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", 413),
    Wrong("a WebSocket", b"GET /translate HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", 405),
]  # fmt: skip
CASES = [
    *(Wrong(f"JSON: {name}", post(body), 400) for name, body in NO_JSON.items()),
    *(Wrong(f"JSON: {name}", post(body), 422) for name, body in OTHER_JSON.items()),
    *VALUES,
    *FORMS,
    *KINDS,
    *ROUTES,
    *FRAMING,
]


def test_there_are_many_kinds() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(CASES) >= 200


async def _sent(port: int, content: bytes) -> tuple[int, bytes]:
    """The status and the body that some bytes get; 0 where the connection ends without any."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(content)
        status, _, body = await asyncio.wait_for(read_answer(reader), 20)
        return status, body
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, b""
    finally:
        writer.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_it_is_refused_and_the_server_lives(served: Served, case: Wrong) -> None:
    status, body = asyncio.run(_sent(served.port, case.sent))
    assert status == case.status, body
    assert isinstance(json.loads(body)["error"], str)
    assert len(body) < 600
    assert served.post("/translate", {"source": "abcd"}) == (200, {"translation": "abcd"})


def test_an_unknown_field_is_answered_with_what_may_be_meant(served: Served) -> None:
    assert "did you mean beam_size?" in served.post("/translate", {"source": "a", "beamsize": 2})[1]["error"]
    assert "did you mean source?" in served.post("/translate", {"surce": "a"})[1]["error"]


def test_all_at_once(served: Served) -> None:
    async def everything() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*(_sent(served.port, case.sent) for case in CASES))

    found = asyncio.run(everything())
    assert [status for status, _ in found] == [case.status for case in CASES]
    assert served.post("/translate", {"source": "abcd"}) == (200, {"translation": "abcd"})


def _trickled(port: int, first: bytes, drop: bytes, every: float) -> tuple[int, float]:
    """The status that a client gets which sends a part and then a drop now and then, and after how many seconds."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(first)
        connection.settimeout(every)
        got = b""
        while time.monotonic() < started + 20:
            try:
                more = connection.recv(65536)
                got += more
                if not more or b"\r\n\r\n" in got:
                    break
            except TimeoutError:
                if drop:
                    connection.sendall(drop)
        return (int(got.split(b" ")[1]) if got else 0), time.monotonic() - started


SLOW = {
    "nothing at all": (b"", b""),
    "half a line": (b"POST /tra", b""),
    "half a header": (b"POST /translate HTTP/1.1\r\nHost: local", b""),
    "a header without end": (b"POST /translate HTTP/1.1\r\nHost: localhost\r\n", b"X-a: b\r\n"),
    "a header letter by letter": (b"POST /translate HTTP/1.1\r\nHost: localhost\r\nX-a: ", b"b"),
    "no body": (HEAD + b"Content-Length: 18\r\n\r\n", b""),
    "half a body": (HEAD + b"Content-Length: 18\r\n\r\n" + GOOD[:5], b""),
    "a body letter by letter": (HEAD + b"Content-Length: 500000\r\n\r\n", b" "),
    "chunks without end": (CHUNKED, b"1\r\n \r\n"),
    "half a chunk": (CHUNKED + b"12\r\n" + GOOD[:5], b""),
    "half a chunk size": (CHUNKED + b"1", b""),
}


def test_who_is_slow_is_sent_away(served: Served) -> None:
    with ThreadPoolExecutor(len(SLOW)) as together:
        found = dict(
            zip(SLOW, together.map(lambda sent: _trickled(served.port, *sent, every=0.2), SLOW.values()), strict=True)
        )
    assert {name: status for name, (status, _) in found.items()} == dict.fromkeys(SLOW, 408)
    assert all(0.8 < seconds < 8 for _, seconds in found.values()), found  # the fixture's server waits a second
    assert served.post("/translate", {"source": "abcd"}) == (200, {"translation": "abcd"})


def test_a_second_request_that_is_slow_is_sent_away_too(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(post(GOOD))
        got = b""
        while not got.endswith(b'{"translation":"abcd"}'):
            got += connection.recv(65536)
        started = time.monotonic()
        connection.sendall(b"POST /translate HTTP/1.1\r\nX")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")
        assert 0.8 < time.monotonic() - started < 5


def test_clients_that_go_away_leave_nothing_behind(served: Served) -> None:
    for count in range(40):
        connection = socket.create_connection(("127.0.0.1", served.port))
        connection.sendall(post(b'{"sources": ["abcd", "dcba"], "nbest": 8}')[: 40 * count or None])
        connection.close()
    assert served.post("/translate", {"source": "abcd"}) == (200, {"translation": "abcd"})
    text = served.ask("GET", "/metrics")[2].decode()
    assert "seqcli_queue_sources 0\n" in text
    assert "seqcli_body_bytes 0\n" in text
