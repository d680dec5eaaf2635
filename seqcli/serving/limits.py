"""What a server lets anybody ask of it, so that no request, and no crowd of them, takes more than there is."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, characters, pixels and pieces, times in seconds."""

    body: int = MIB
    """Bytes of one request's body."""
    bodies: int = 256 * MIB
    """Bytes of all bodies together that are in memory at a time."""
    sources: int = 128
    """Sources in one request."""
    characters: int = 5000
    """Characters of one source, and of a target."""
    shown_characters: int = 400
    """Characters of a source, and of a target, whose attention is asked for: the weights grow with the product of both."""
    weights: int = 2_000_000
    """Weights in one answer, over all layers and heads."""
    pixels: int = 25_000_000
    """Pixels of the images of one request, told before they are decoded."""
    beam_size: int = 32
    """Hypotheses kept, and given."""
    waiting: int = 1024
    """Sources that wait for the model; a request beyond is refused with 429."""
    together: int = 64
    """Sources that go through the model side by side."""
    together_characters: int = 16384
    """Characters that do, one source in any case: so that the next in turn wait for a bounded time."""
    window: float = 0.003
    """How long the first of some requests waits for others when the model is idle."""
    answering: float = 30.0
    """From the whole request to its answer; then 504."""
    reading: float = 10.0
    """From a connection, or the last answer's next byte, to a whole header; and from there, beside what `slowest` allows, to a whole body."""
    slowest: int = 16384
    """Bytes a second of a body that is worth waiting for."""
    writing: float = 30.0
    """How long a client may leave an answer unread."""
    connections: int = 512
    """Connections that are open; more are answered with 503 and closed."""
    drawings: int = 8
    """Pictures that wait to be drawn; a request beyond is refused with 429."""


def limits_for(*, images: bool) -> Limits:
    """Those that are usual: a photograph is larger than a text."""
    return Limits(body=16 * MIB) if images else Limits()
