"""What every request passes on its way in and every answer on its way out: doors, counts, headers, and the rest of a body."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seqcli.serving.answers import to_bytes
from seqcli.serving.doors import Doors, preflight
from seqcli.serving.metrics import Metrics
from seqcli.serving.refusal import BAD, BROKEN, LARGE_HEAD, TIMED_OUT, Refusal

logger = logging.getLogger("seqcli.serving")

DRAINING = 2.0
"""Seconds in which the rest of a refused body is thrown away, for a client that writes all before it reads."""
GONE = 499
"""What is counted for a client that did not wait for its answer; the number is nginx's."""
FAILED = "the server failed here; its log says more"
OTHER = "other"
MOST_FIELDS, LARGEST_HEAD = 100, 65536
"""Header fields of a request, and bytes of all of them and the address."""
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def refused(refusal: Refusal) -> Response:
    """A refusal as an answer."""
    content = to_bytes({"error": str(refusal)})
    return Response(content, refusal.status, refusal.headers, media_type="application/json")


class Guard:
    """The outermost part of the application. `routes` are the paths that are counted by their names."""

    def __init__(self, app: ASGIApp, doors: Doors, metrics: Metrics, routes: frozenset[str]) -> None:
        self.app, self.doors, self.metrics, self.routes = app, doors, metrics, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; whatever happens it gets one answer, or its client has gone."""
        if scope["type"] != "http":
            return
        exchange = Exchange(receive, send, expects=b"expect" in dict(scope["headers"]))
        started = time.perf_counter()
        try:
            await self._answer(scope, exchange)
        except ClientDisconnect:
            exchange.status = GONE
        except Exception as error:
            logger.error("a request failed: %s %r", scope["method"], scope["path"], exc_info=error)
            if not exchange.started:
                await refused(Refusal(BROKEN, FAILED))(scope, exchange.receive, exchange.send)
        route = scope["path"] if scope["path"] in self.routes else OTHER
        self.metrics.requests.add(route=route, status=str(exchange.status))
        self.metrics.seconds.add(time.perf_counter() - started, route=route)

    async def _answer(self, scope: Scope, exchange: Exchange) -> None:
        headers = Headers(scope=scope)
        try:
            _check_head(scope)
            allowed = self.doors.check(headers)
        except Refusal as refusal:
            await refused(refusal)(scope, exchange.receive, exchange.send)
            return
        exchange.headers |= allowed
        if allowed:
            exchange.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if allowed and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers=preflight(allowed))(scope, exchange.receive, exchange.send)
            return
        await self.app(scope, exchange.receive, exchange.send)


def _check_head(scope: Scope) -> None:
    """Refusal for what h11 lets through: other versions, and a head that is too large but came at once."""
    if scope["http_version"] not in ("1.0", "1.1"):
        raise Refusal(BAD, "HTTP/1.1 is spoken here")
    fields = scope["headers"]
    size = len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(name) + len(value) for name, value in fields)
    if len(fields) > MOST_FIELDS or size > LARGEST_HEAD:
        raise Refusal(LARGE_HEAD, "the header is too large")


class Exchange:
    """One request and its answer: how far the one has been read, and the other written."""

    def __init__(self, receive: Receive, send: Send, *, expects: bool) -> None:
        self._receive, self._send = receive, send
        self._expects = expects
        self.headers = dict(ALWAYS)
        self.read = False
        self.started = False
        self.status = GONE

    async def receive(self) -> Message:
        """The next part of the body."""
        message = await self._receive()
        self.read = self.read or message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """The next part of the answer. A connection on which the rest of a body might still come is closed after it."""
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self.headers.items():
                headers.setdefault(name, value)
            if not self.read and self.status != TIMED_OUT:
                await self._drain()
            if not self.read:
                headers["Connection"] = "close"
        await self._send(message)

    async def _drain(self) -> None:
        """Closing a connection with unread bytes resets it, and the client may never see why; but who waits for our word sends nothing."""
        if not self._expects:
            await _within(DRAINING, self._read_on)

    async def _read_on(self) -> None:
        while not self.read:
            await self.receive()


async def _within(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await asyncio.wait_for(work(), seconds)
    except asyncio.TimeoutError:
        return
