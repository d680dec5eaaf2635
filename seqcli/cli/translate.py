"""`seqcli translate`: a filter from sources to hypotheses. Nothing but data on stdout, one answer a line, in order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from seqcli.cli.arguments import BeamSize, Checkpoint, Overrides, Quiet, RunFolder

if TYPE_CHECKING:
    from seqcli.evaluation.translator import Translation
    from seqcli.symbols import Example

WINDOW_LINES = 2000
"""Lines that are sorted by length together."""
WINDOW_IDLE = 0.05
"""Seconds without a new line after which those that have come are translated."""


@dataclass(frozen=True)
class Layout:
    """How input lines are read and answers written."""

    as_json: bool
    nbest: int
    scores: bool


def translate(
    run: RunFolder,
    overrides: Overrides = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", "-i", help="Read from this file; stdin if not given.")
    ] = None,
    output_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file; stdout if not given.")
    ] = None,
    beam_size: BeamSize = None,
    length_penalty: Annotated[
        float | None, typer.Option("--length-penalty", min=0.0, help="Scores are divided by length to this power.")
    ] = None,
    nbest: Annotated[
        int,
        typer.Option("--nbest", min=1, help="Hypotheses a line; above 1: line number, score and text, tabs between."),
    ] = 1,
    scores: Annotated[bool, typer.Option("--scores", help="Put the score and a tab before each text.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Lines are JSON objects: `source` (and `features`) are read, `translation` is added, the rest stays.",
        ),
    ] = False,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Translate lines: one line in, one line out, blank ones too, in order.

    Where the run has feature tags, a line is the source, a tab, and the tags.
    """
    from seqcli.cli.console import notes, warn
    from seqcli.run import load

    notes.quiet = quiet
    loaded = load(run, overrides or [], checkpoint=checkpoint)
    settings = loaded.settings(beam_size)
    settings = replace(settings, beam_size=max(settings.beam_size, nbest))
    if length_penalty is not None:
        settings = replace(settings, length_penalty=length_penalty)
    layout = Layout(as_json, nbest, scores)
    separator = loaded.features_separator
    with ExitStack() as files:
        lines = sys.stdin.buffer if input_file is None else files.enter_context(input_file.open("rb"))
        out = sys.stdout if output_file is None else files.enter_context(_output(output_file))
        number = 0
        for window in windows(lines):
            read = [read_line(line, number + row, layout, separator) for row, line in enumerate(window)]
            results = loaded.hypotheses([example for example, _ in read], settings)
            for (example, fields), found in zip(read, results, strict=True):
                out.writelines(f"{line}\n" for line in written(example, fields, found[:nbest], layout))
            out.flush()
            number += len(window)
    if loaded.translator.cut:
        warn(f"{loaded.translator.cut} lines were longer than the model can read and were cut")


def windows(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Lines in bunches: all that come without a pause, at most `WINDOW_LINES`, so that an answer need not wait for the end."""
    waiting: Queue[bytes | None] = Queue(maxsize=4 * WINDOW_LINES)
    Thread(target=_fill, args=(stream, waiting), daemon=True).start()
    line = waiting.get()
    while line is not None:
        window = [line]
        try:
            while len(window) < WINDOW_LINES and (line := waiting.get(timeout=WINDOW_IDLE)) is not None:
                window.append(line)
        except Empty:
            pass
        yield window
        line = None if line is None else waiting.get()


def _fill(stream: BinaryIO, waiting: Queue[bytes | None]) -> None:
    # readline, because iterating over a pipe would wait for a full buffer
    for line in iter(stream.readline, b""):
        waiting.put(line)
    waiting.put(None)


def read_line(line: bytes, row: int, layout: Layout, separator: str | None) -> tuple[Example, dict[str, Any]]:
    """An input line as an example, and, in JSON, its fields. Raises `DataError` naming the line where that cannot be."""
    from seqcli.errors import DataError
    from seqcli.symbols import Example

    origin = f"line {row + 1}"
    text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", errors="replace")
    if not layout.as_json:
        source, _, tags = text.partition("\t") if separator else (text, "", "")
        return Example(source, None, row, origin, _tags(tags, separator)), {}
    if not text.strip():
        return Example("", None, row, origin), {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{origin}: is no JSON ({error}); without --json lines are plain text") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("source"), str):
        raise DataError(f'{origin}: needs a JSON object with a text "source": {text[:80]}')
    tags = fields.get("features", "")
    given = tuple(map(str, tags)) if isinstance(tags, list) else _tags(str(tags), separator)
    return Example(fields["source"], None, row, origin, given), fields


def _tags(text: str, separator: str | None) -> tuple[str, ...]:
    return tuple(tag.strip() for tag in text.split(separator) if tag.strip()) if separator else ()


def written(example: Example, fields: dict[str, Any], found: Sequence[Translation], layout: Layout) -> Iterable[str]:
    """The output lines for one example."""
    if layout.as_json:
        best = found[0] if found else None
        answer = {**fields, "translation": best.text if best else "", "score": best.score if best else None}
        if layout.nbest > 1:
            answer["translations"] = [{"text": one.text, "score": one.score, "log_prob": one.log_prob} for one in found]
        return [json.dumps(answer, ensure_ascii=False)]
    if layout.nbest > 1:
        return [f"{example.index + 1}\t{one.score:.6f}\t{_one_line(one.text)}" for one in found]
    text, score = (_one_line(found[0].text), found[0].score) if found else ("", 0.0)
    return [f"{score:.6f}\t{text}" if layout.scores else text]


def _one_line(text: str) -> str:
    """A model that learnt line breaks from JSON may write them; a line of output stays one line."""
    return text.replace("\r", " ").replace("\n", " ")


def _output(path: Path) -> Any:
    from seqcli.errors import StorageError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
