"""Who may ask: requests under a name of this server's own, and pages of its own origin or of those that were let in.

A server on 127.0.0.1 is reached by every page that its user's browser opens. Such a page may have its own name resolve to
127.0.0.1 (DNS rebinding), so requests under a foreign name are refused; and it may send forms that it cannot read the answer of, so
requests of another origin (the Origin header, RFC 6454) are refused too. An address of digits cannot be rebound.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from seqcli.serving.refusal import BAD, FORBIDDEN, MISDIRECTED, Refusal

ANY = "*"
METHODS, HEADERS, AGE = "GET, POST", "Content-Type", "600"


@dataclass(frozen=True)
class Doors:
    """The names that the server answers to beside its own, and the origins that are let in beside it; `*` is any."""

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def check(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers for the answer to a page of another origin, none for others. Refusal for who may not ask."""
        host = headers.get("host", "")
        if host and not self._answers_to(host):
            raise Refusal(MISDIRECTED, f"this server does not answer to {host[:100]!r}; start it with --allow-host")
        origin = headers.get("origin")
        if origin is None or self._is_own(origin, host):
            return {}
        if ANY not in self.origins and origin not in self.origins:
            raise Refusal(
                FORBIDDEN, f"pages of {origin[:100]!r} may not ask here; start the server with --allow-origin"
            )
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def _answers_to(self, host: str) -> bool:
        name = _name(host)
        if name is None:
            raise Refusal(BAD, f"{host[:100]!r} is no name of a host")
        return ANY in self.hosts or name in self.hosts or name in own_names() or _is_address(name)

    def _is_own(self, origin: str, host: str) -> bool:
        """A proxy may speak TLS to the browser, so the scheme is not compared."""
        scheme, _, place = origin.partition("://")
        return scheme in ("http", "https") and place.lower() == host.lower() != ""


def preflight(allowed: Mapping[str, str]) -> dict[str, str]:
    """What a browser is told that asks whether a page may ask (Fetch standard, CORS-preflight)."""
    return {
        **allowed,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": AGE,
    }


def own_names() -> Sequence[str]:
    """Names by which a machine is called that nobody else can give it."""
    return ("localhost", socket.gethostname().lower())


def _name(host: str) -> str | None:
    """The name without its port, in lower case; None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.path or parts.query or parts.fragment or "@" in parts.netloc or "?" in host or "#" in host:
            return None
        _ = parts.port  # raises for one that is no number
        return parts.hostname and parts.hostname.rstrip(".")
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
