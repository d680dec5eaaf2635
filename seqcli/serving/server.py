"""From an application to a process that serves it, until a signal ends it."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from seqcli.errors import RecipeError, SeqcliError
from seqcli.serving.protocol import Settings

BACKLOG = 1024


def bind(host: str, port: int) -> socket.socket:
    """A socket at the address; port 0 is any free one. RecipeError for a host that is none, SeqcliError where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise RecipeError(f"--host {host}: there is no such address of this machine") from error
    bound = socket.socket(family, kind, protocol)
    if sys.platform != "win32":  # there it would let two programs have one port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(BACKLOG)  # two may bind one address, one only may listen
    except OSError as error:
        bound.close()
        raise _refusal(host, port, error) from error
    return bound


def _refusal(host: str, port: int, error: OSError) -> SeqcliError:
    if error.errno == errno.EADDRINUSE:
        return SeqcliError(
            f"port {port} of {host} is taken by another program; give another --port, or 0 for any free one"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return RecipeError(f"--host {host}: there is no such address of this machine")
    if error.errno == errno.EACCES:
        return SeqcliError(f"port {port} is not for every user; give a --port of 1024 or more")
    return SeqcliError(f"port {port} of {host} cannot be had ({error.strerror or error})")


def address_of(bound: socket.socket) -> str:
    """The address that a browser opens."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Tells when it answers, and, at the first signal, that it ends when its work is done; a second signal kills as usual."""

    def __init__(self, settings: Settings, started: Callable[[], None], stopping: Callable[[int], None]) -> None:
        super().__init__(settings)
        self._tell_started, self._tell_stopping = started, stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._tell_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal asks for the end."""
        self.should_exit = True
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        self._tell_stopping(len(self.server_state.tasks))
