"""HTTP/1.1 by uvicorn and h11, with what they leave out: clients that are slow with a header or an answer, too many connections, and
bytes that are no HTTP after an answer has begun."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from seqcli.serving.answers import to_bytes
from seqcli.serving.limits import Limits
from seqcli.serving.metrics import Metrics
from seqcli.serving.refusal import BAD, LARGE_HEAD, TIMED_OUT, UNAVAILABLE

KEEP_ALIVE = 15
"""Seconds between two requests on one connection."""


class Settings(uvicorn.Config):
    """How uvicorn runs, and the limits and metrics for its connections."""

    def __init__(self, app: Any, limits: Limits, metrics: Metrics) -> None:
        self.limits, self.metrics = limits, metrics
        super().__init__(
            app,
            interface="asgi3",
            loop="asyncio",
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # what clients do wrong is told to them, and counted
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=int(limits.answering + limits.reading) + 1,
        )


class GuardedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, config: Settings, *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self.limits, self.metrics = config.limits, config.metrics
        self._header: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come; where there are too many it is sent away."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(UNAVAILABLE, "many", "there are too many connections", {"Retry-After": "1"})
        else:
            self._watch_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        for timer in (self._header, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        super().data_received(data)
        self._watch_header()

    def _watch_header(self) -> None:
        """A header has its time from the connection on, or from its own first byte."""
        reading = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if not reading and self._header is not None:
            self._header.cancel()
            self._header = None
        elif reading and self._header is None:
            self._header = self.loop.call_later(self.limits.reading, self._header_is_late)

    def _header_is_late(self) -> None:
        self._refuse(TIMED_OUT, "slow", "the header came too slowly")

    def send_400_response(self, msg: str) -> None:
        """For bytes that are no HTTP; uvicorn calls it where it has caught h11's error, which may know a better status."""
        error = sys.exc_info()[1]
        large = isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == LARGE_HEAD
        sentence = "the header is too large" if large else "this is no HTTP/1.1 request"
        self._refuse(LARGE_HEAD if large else BAD, "malformed", sentence)

    def _refuse(self, status: int, reason: str, sentence: str, headers: dict[str, str] | None = None) -> None:
        """Answer without a request, where no other answer has begun, and close."""
        self.metrics.refused.add(reason=reason)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
            body = to_bytes({"error": sentence})
            fields = {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Connection": "close",
                **(headers or {}),
            }
            for event in (
                h11.Response(status_code=status, headers=list(fields.items())),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read what it asked for."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.limits.writing, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """An answer is written; what is left of the last one is not kept for ever."""
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(self.limits.writing, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(self.limits.writing, self.transport.abort)
