"""`seqcli serve`: a run behind HTTP, and a page to try it on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from seqcli.cli.arguments import Checkpoint, Overrides, Quiet, RunFolder

Bytes = Annotated[
    int | None,
    typer.Option(
        "--max-body", min=1024, metavar="BYTES", help="Bytes of one request; 1 MiB if not given, 16 MiB with images."
    ),
]


def serve(
    run: RunFolder,
    overrides: Overrides = None,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen at; 0.0.0.0 is every one of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="The port; 0 is any free one.")] = 8000,
    waiting: Annotated[
        int | None,
        typer.Option(
            "--queue", min=1, metavar="N", help="Sources that may wait, 1,024 if not given; beyond, requests get 429."
        ),
    ] = None,
    together: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            metavar="N",
            help="Sources that go through the model side by side, at most; 64 if not given.",
        ),
    ] = None,
    answering: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            min=0.001,
            metavar="SECONDS",
            help="What a request may wait for its answer, 30 if not given; then 504.",
        ),
    ] = None,
    reading: Annotated[
        float | None,
        typer.Option(
            "--read-timeout",
            min=0.1,
            metavar="SECONDS",
            help="What a client may take to send, 10 if not given; then 408.",
        ),
    ] = None,
    body: Bytes = None,
    sources: Annotated[
        int | None, typer.Option("--max-sources", min=1, metavar="N", help="Sources in one request; 128 if not given.")
    ] = None,
    characters: Annotated[
        int | None,
        typer.Option("--max-characters", min=1, metavar="N", help="Characters of one source; 5,000 if not given."),
    ] = None,
    pixels: Annotated[
        int | None,
        typer.Option(
            "--max-pixels", min=1, metavar="N", help="Pixels of the images of one request; 25,000,000 if not given."
        ),
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name, as in the Host header, to answer to; * is any."),
    ] = None,
    origins: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", metavar="URL", help="Whose pages may ask, as in https://example.org; * is all."),
    ] = None,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Answer requests over HTTP, and show a page at / on which one tries the model.

    POST /translate and /attention (and /overlay, for images) take JSON or forms; GET /health, /metrics (Prometheus) and /openapi.json tell of
    the server. Ctrl-C, or SIGTERM, ends it when all that was asked is answered.
    """
    from seqcli.cli.console import note, notes
    from seqcli.extras import require

    notes.quiet = quiet
    require("serve", "seqcli serve")
    from seqcli.serving.server import address_of, bind

    bound = bind(host, port)  # before anything slow
    with bound:
        from seqcli.run import load
        from seqcli.serving.app import serve as serve_app
        from seqcli.serving.doors import Doors
        from seqcli.serving.engine import RunEngine
        from seqcli.serving.limits import limits_for

        engine = RunEngine(load(run, overrides or [], checkpoint=checkpoint))
        given = {
            "waiting": waiting,
            "together": together,
            "answering": answering,
            "reading": reading,
            "body": body,
            "sources": sources,
            "characters": characters,
            "pixels": pixels,
        }
        limits = limits_for(images=engine.reads_images)
        limits = replace(limits, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        answered = serve_app(
            engine,
            bound,
            limits,
            Doors(tuple(name.lower() for name in hosts or ()), tuple(origins or ())),
            started=lambda: note(f"serving {engine.name} at {address_of(bound)} (Ctrl-C ends it)"),
            stopping=lambda under_way: note(f"finishing {under_way} requests, then ending; the next signal kills"),
        )
        note(f"ended after {answered:,} requests")
