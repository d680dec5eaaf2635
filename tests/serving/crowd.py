"""Clients that ask all at once, each on a connection of its own: plain sockets, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What some clients got: how often each status, every wrong answer, and how long each request took."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[tuple[Any, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    took: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second that were answered."""
        return self.statuses[200] / self.took


def request(path: str, body: bytes, *, host: str = "127.0.0.1", kind: str = "application/json") -> bytes:
    """A POST as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split(" ")[1]), headers, body


async def _client(port: int, asked: Sequence[tuple[dict[str, Any], Any]], first: int, end: float, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    place = first
    while time.monotonic() < end:
        fields, expected = asked[place % len(asked)]
        place += 1
        started = time.monotonic()
        writer.write(request("/translate", json.dumps(fields).encode()))
        status, headers, body = await read_answer(reader)
        tally.seconds.append(time.monotonic() - started)
        tally.statuses[status] += 1
        if status != 200 or json.loads(body) != expected:
            tally.wrong.append((fields, body))
        if headers.get("connection") == "close":
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def crowd(port: int, asked: Sequence[tuple[dict[str, Any], Any]], *, clients: int, seconds: float) -> Tally:
    """So many clients that ask, for so long, what is in `asked`, each beginning elsewhere, and compare every answer with the one expected."""
    tally = Tally()

    async def everybody() -> None:
        end = time.monotonic() + seconds
        places = [number * len(asked) // clients for number in range(clients)]
        await asyncio.gather(*(_client(port, asked, place, end, tally) for place in places))

    started = time.monotonic()
    asyncio.run(everybody())
    tally.took = time.monotonic() - started
    return tally
