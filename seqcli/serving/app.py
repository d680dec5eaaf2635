"""The application: which address is answered by what, and a process that serves it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seqcli.serving.answers import to_bytes
from seqcli.serving.description import describe
from seqcli.serving.doors import Doors
from seqcli.serving.engine import Engine
from seqcli.serving.guard import FAILED, Guard, refused
from seqcli.serving.limits import Limits
from seqcli.serving.metrics import Metrics
from seqcli.serving.page import page_response
from seqcli.serving.protocol import Settings
from seqcli.serving.refusal import BROKEN, MISSING, Refusal
from seqcli.serving.server import Server
from seqcli.serving.service import Service

SWITCHING = 0.0005
"""Seconds after which one of Python's threads lets another run. The model's gives up its turn at every operation of torch, and waits so long to
get it back while requests are read; at the usual 5 ms 200 clients got an eighth to a third fewer answers."""


def make_app(service: Service, doors: Doors) -> Guard:
    """The whole application of a service."""
    shown = page_response(service.engine, service.settings, service.limits)
    described = to_bytes(describe(service.engine, service.limits))

    async def page(request: Request) -> Response:
        return Response(shown.content, media_type="text/html", headers=shown.headers)

    async def description(request: Request) -> Response:
        return Response(described, media_type="application/json")

    routes = [
        Route("/", page, methods=["GET"]),
        Route("/translate", service.translate, methods=["POST"]),
        Route("/attention", service.attention, methods=["POST"]),
        Route("/health", service.health, methods=["GET"]),
        Route("/metrics", service.counts, methods=["GET"]),
        Route("/openapi.json", description, methods=["GET"]),
    ]
    if service.engine.reads_images:
        routes.append(Route("/overlay", service.overlay, methods=["POST"]))
    paths = frozenset(route.path for route in routes)
    handlers = {Refusal: _refuse, HTTPException: _refuse_route, Exception: _fail}
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    app.router.redirect_slashes = False
    return Guard(app, doors, service.metrics, paths)


def serve(
    engine: Engine,
    bound: socket.socket,
    limits: Limits,
    doors: Doors,
    *,
    started: Callable[[], None],
    stopping: Callable[[int], None],
) -> int:
    """Answer at a socket until a signal comes, finish what has been asked by then, and return how many requests there were.

    `started` is called when requests are answered, `stopping` at the signal, with the number of those that are under way.
    """
    metrics = Metrics()
    service = Service(engine, limits, metrics)

    def stop(under_way: int) -> None:
        service.stopping = True
        stopping(under_way)

    sys.setswitchinterval(SWITCHING)
    server = Server(Settings(make_app(service, doors), limits, metrics), started, stop)
    try:
        server.run(sockets=[bound])
    finally:
        service.close(limits.answering)
    return server.server_state.total_requests


async def _refuse(request: Request, refusal: Refusal) -> Response:
    return refused(refusal)


async def _fail(request: Request, error: Exception) -> Response:
    """The server's own fault, which the guard writes to the log."""
    return refused(Refusal(BROKEN, FAILED))


async def _refuse_route(request: Request, error: HTTPException) -> Response:
    """No such address, or not by this method."""
    allowed = (error.headers or {}).get("Allow", "")
    missing = error.status_code == MISSING
    sentence = (
        "there is no such address; / and /openapi.json show what there is" if missing else f"here there is {allowed}"
    )
    return refused(Refusal(error.status_code, sentence, error.headers))
