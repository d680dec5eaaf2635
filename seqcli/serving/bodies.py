"""The bodies of requests, read with a bound on each, on all together, and on how slowly they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from seqcli.serving.limits import Limits
from seqcli.serving.refusal import BAD, TIMED_OUT, TOO_LARGE, TOO_MANY, WRONG_KIND, Refusal


class Bodies:
    """Reads bodies, and knows how many bytes of them are in memory."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """A block in which the whole body is in memory. Refusal where it is too large, too slow, or framed in two ways."""
        self._check(request)
        body = bytearray()
        try:
            await self._fill(body, request)
            yield bytes(body)
        finally:
            self.held -= len(body)

    def _check(self, request: Request) -> None:
        length = request.headers.get("content-length")
        if length is not None and "transfer-encoding" in request.headers:
            # two readers of it may see two different requests (RFC 9112, §6.1)
            raise Refusal(
                BAD, "a request has a Content-Length or a Transfer-Encoding, not both", {"Connection": "close"}
            )
        if length is not None and int(length) > self.limits.body:
            raise self._too_large()
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refusal(WRONG_KIND, "bodies are read without a Content-Encoding only")

    async def _fill(self, body: bytearray, request: Request) -> None:
        started, more = time.monotonic(), True
        while more:
            left = started + self.limits.reading + len(body) / self.limits.slowest - time.monotonic()
            try:
                message = await asyncio.wait_for(request.receive(), max(left, 0.0))
            except asyncio.TimeoutError as error:
                raise Refusal(TIMED_OUT, "the body came too slowly", {"Connection": "close"}) from error
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > self.limits.body:
                raise self._too_large()
            if self.held + len(chunk) > self.limits.bodies:
                raise Refusal(TOO_MANY, "too many large requests at a time", {"Retry-After": "1"})
            body += chunk
            self.held += len(chunk)
            more = message.get("more_body", False)

    def _too_large(self) -> Refusal:
        return Refusal(TOO_LARGE, f"a body may have {self.limits.body:,} bytes")
