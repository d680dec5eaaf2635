"""`seqcli score`: how likely a run finds given targets. One number a line on stdout, in order; the perplexity on stderr."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.arguments import Checkpoint, EnsembleRuns, Quiet, RunFolder, TaskName, is_override
from seqcli.cli.streams import (
    WINDOW_IMAGES,
    WINDOW_LINES,
    begun,
    is_stream,
    is_utf8,
    open_input,
    open_output,
    refuse_closed,
    windows,
)

if TYPE_CHECKING:
    from seqcli.cli.sources import Reading
    from seqcli.data.tokenizer import Tokenizer
    from seqcli.evaluation.scoring import PairScore
    from seqcli.symbols import Example

    Pair = tuple[Example, dict[str, Any]]


@dataclass(frozen=True)
class Layout:
    """How scores are written."""

    as_json: bool
    normalised: bool
    tokens: bool


@dataclass
class Tally:
    """What is said at the end: how much has a score, the sum of the log-probabilities, and where something is not as it should be."""

    pairs: int = 0
    symbols: int = 0
    log_prob: float = 0.0
    blank: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def add(self, example: Example, found: PairScore | None) -> None:
        """One more pair, as it was read. What was not seen is counted elsewhere."""
        if found is None:
            self.blank += [] if example.image or example.source.strip() else [example.origin]
            return
        self.pairs += 1
        self.symbols += len(found.ids)
        self.log_prob += found.log_prob
        self.cut += [example.origin] if found.cut else []

    def tell(self, longest: int | None) -> None:
        """Say it on stderr; `longest` is how many symbols the model can write."""
        from seqcli.cli.console import note, warn
        from seqcli.nn.loss import perplexity

        if self.unseen:
            warn(f"{len(self.unseen)} images cannot be read, and have no score (the first: {self.unseen[0]})")
        if self.blank:
            warn(f"blank sources have no score: {len(self.blank)} (the first is {self.blank[0]})")
        if self.cut:
            warn(
                f"{len(self.cut)} targets are longer than {longest} symbols and scored only that far (the first is {self.cut[0]})"
            )
        if self.symbols:
            note(
                f"{self.pairs:,} pairs, {self.symbols:,} symbols: perplexity {perplexity(-self.log_prob / self.symbols):.4f} a symbol, "
                f"log-probability {self.log_prob / self.pairs:.4f} a pair"
            )


def score(
    run: RunFolder,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE TARGET] [KEY.PATH=VALUE]...",
            help="Two files, line by line; without them lines of stdin are a source, a tab, and a target. Then keys of the recipe to set.",
        ),
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", "-i", help="Read pairs from this file; stdin if not given, or -.")
    ] = None,
    output_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file; stdout if not given, or -.")
    ] = None,
    task: TaskName = None,
    normalised: Annotated[
        bool,
        typer.Option(
            "--normalised",
            "--normalized",
            help="Print the score that translations are ranked by, not the log-probability.",
        ),
    ] = False,
    length_penalty: Annotated[
        float | None,
        typer.Option("--length-penalty", min=0.0, help="Like --normalised, but divide by length to this power."),
    ] = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="After the score, a tab and each symbol's log-probability, the end last.")
    ] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Targets are beginnings: their end is not counted.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Lines are JSON objects: `source` (and `features`, `task`; or `image` and `question`) and `target` are read, `log_prob` "
            "and `score` added, the rest stays.",
        ),
    ] = False,
    ensemble: EnsembleRuns = None,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Tell how likely targets are, given their sources: the natural logarithm of the probability, a line each, in order.

    A source without anything to read gets an empty line. Where the run has feature tags, or reads images, a source is as `translate` has it.
    """
    from seqcli.cli.console import notes, tell_cut
    from seqcli.cli.sources import Reading
    from seqcli.cli.work_view import WorkView
    from seqcli.evaluation.scoring import score_pairs
    from seqcli.run import load

    notes.quiet = quiet
    files, overrides = _apart(arguments or [], input_file)
    refuse_closed(output_file)
    loaded = load(run, overrides, checkpoint=checkpoint, ensemble=ensemble or [])
    loaded.tagging.check(task)
    settings = loaded.settings()
    if length_penalty is not None:
        settings = replace(settings, length_penalty=length_penalty)
    layout = Layout(as_json, normalised or length_penalty is not None, tokens)
    reading = Reading(as_json, loaded.reads_texts, loaded.reads_images, loaded.tagging, task, targets=True)
    translator, tally = loaded.translator, Tally()
    with ExitStack() as opened:
        pairs = _of_files(files, reading) if files else _of_stream(input_file, reading)
        shared = (not files and is_stream(input_file) and os.isatty(0)) or (is_stream(output_file) and os.isatty(1))
        view = opened.enter_context(WorkView("scoring", hidden=shared))
        pairs = begun(pairs)
        out = opened.enter_context(open_output(output_file, *map(Path, files), input_file))
        for bunch in pairs:
            examples, complaints = translator.seen([example for example, _ in bunch])
            tally.unseen += complaints
            found = score_pairs(translator, examples, settings, ended=not unfinished)
            for (example, fields), one in zip(bunch, found, strict=True):
                tally.add(example, one)
                out.write(f"{_line(fields, one, layout, translator.target_tokenizer)}\n")
            out.flush()
            view.title = f"scoring, {tally.pairs:,} pairs done"
    tally.tell(translator.longest_target)
    tell_cut(translator)


def _apart(arguments: list[str], input_file: Path | None) -> tuple[list[str], list[str]]:
    """The two files, or none, and the overrides. RecipeError where there are not two."""
    from seqcli.errors import RecipeError

    files = [each for each in arguments[:2] if not is_override(each)]
    if len(files) == 1 or (files and input_file is not None):
        raise RecipeError(
            "give SOURCE and TARGET, two files line by line, or one with both as --input, or none to read stdin"
        )
    return files, arguments[len(files) :]


def _of_files(files: list[str], reading: Reading) -> Iterator[list[Pair]]:
    """The pairs of two files, in bunches. The lines are plain; in JSON they come back as fields."""
    from seqcli.cli.sources import read_line
    from seqcli.data.files import read_text

    source, target = files
    plain = replace(reading, as_json=False, targets=False)
    rows = iter(read_text([source], [target]).read())
    while bunch := list(itertools.islice(rows, WINDOW_IMAGES if reading.images else WINDOW_LINES)):
        yield [
            (
                replace(read_line(one.source, one.index, plain, one.origin)[0], target=one.target),
                {"source": one.source, "target": one.target} if reading.as_json else {},
            )
            for one in bunch
        ]


def _of_stream(path: Path | None, reading: Reading) -> Iterator[list[Pair]]:
    """The pairs of lines that hold both, in bunches. DataError for bytes that are no text: who changes them changes the score."""
    from seqcli.cli.sources import read_line
    from seqcli.errors import DataError

    number = 0
    for window in windows(open_input(path), WINDOW_IMAGES if reading.images else WINDOW_LINES, path):
        for row, line in enumerate(window):
            if not is_utf8(line):
                raise DataError(
                    f"line {number + row + 1}: has bytes that are not UTF-8; convert it, for instance with iconv -t UTF-8"
                )
        texts = [line.removesuffix(b"\n").removesuffix(b"\r").decode() for line in window]
        yield [read_line(text, number + row, reading) for row, text in enumerate(texts)]
        number += len(window)


def _line(fields: dict[str, Any], found: PairScore | None, layout: Layout, tokenizer: Tokenizer) -> str:
    """The output line for one pair."""
    from seqcli.json_text import json_text

    if layout.as_json:
        return json_text(_answer(fields, found, layout, tokenizer))
    if found is None:
        return ""
    line = f"{found.score if layout.normalised else found.log_prob:.6f}"
    return f"{line}\t{' '.join(f'{each:.6f}' for each in found.log_probs)}" if layout.tokens else line


def _answer(fields: dict[str, Any], found: PairScore | None, layout: Layout, tokenizer: Tokenizer) -> dict[str, Any]:
    """The JSON object for one pair."""
    answer = {**fields, "log_prob": None, "score": None}
    if found is None:
        return answer
    answer |= {"log_prob": found.log_prob, "score": found.score}
    if found.cut:
        answer["cut"] = True
    if layout.tokens:
        labels = tokenizer.tokens(found.ids)
        answer["tokens"] = [
            {"token": label, "log_prob": each} for label, each in zip(labels, found.log_probs, strict=True)
        ]
    return answer
