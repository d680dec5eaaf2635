"""What a request is refused with: a status of HTTP and a sentence that says what to change."""

from __future__ import annotations

from collections.abc import Mapping

BAD, FORBIDDEN, MISSING, TIMED_OUT, TOO_LARGE, WRONG_KIND = 400, 403, 404, 408, 413, 415
MISDIRECTED, INVALID, TOO_MANY, LARGE_HEAD, BROKEN, UNAVAILABLE, TOO_SLOW = 421, 422, 429, 431, 500, 503, 504
"""The statuses of RFC 9110 (421, 422: §15.5.20, 15.5.21) and RFC 6585 (429, 431) that are given."""


class Refusal(Exception):
    """A request that gets no answer but this: `status`, a sentence, and headers beside the usual ones."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
