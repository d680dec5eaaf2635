"""`seqcli translate`: a filter from sources to hypotheses. Nothing but data on stdout, one answer a line, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.arguments import (
    AlignFrom,
    AlignLayer,
    AlignThreshold,
    AlignWords,
    BeamSize,
    Checkpoint,
    EnsembleRuns,
    Lexicon,
    LikenessBy,
    Overrides,
    Quantization,
    Quiet,
    ReplaceUnknown,
    RunFolder,
    Samples,
    TaskName,
)
from seqcli.cli.search_options import (
    Avoid,
    Constraints,
    CoveragePenalty,
    DiverseGroups,
    Diversity,
    LengthNormalization,
    LengthPenalty,
    MaxLength,
    MinLength,
    MinP,
    NoRepeatNgram,
    Patience,
    Precision,
    Prefix,
    RepetitionPenalty,
    Sample,
    Seed,
    ShortlistOnly,
    Temperature,
    TopK,
    TopP,
    search_overrides,
)
from seqcli.cli.streams import (
    WINDOW_IMAGES,
    WINDOW_LINES,
    is_same,
    is_stream,
    is_utf8,
    one_line,
    open_input,
    open_output,
    refuse_closed,
    size_of,
    windows,
)

if TYPE_CHECKING:
    from seqcli.cli.work_view import WorkView
    from seqcli.evaluation.reader import Translation
    from seqcli.run import Run, Translates
    from seqcli.search.trace import Node
    from seqcli.symbols import Example


@dataclass(frozen=True)
class Layout:
    """How answers are written."""

    as_json: bool
    nbest: int
    scores: bool


def translate(
    run: RunFolder,
    overrides: Overrides = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", "-i", help="Read from this file; stdin if not given, or -.")
    ] = None,
    output_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file; stdout if not given, or -.")
    ] = None,
    task: TaskName = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    length_normalization: LengthNormalization = None,
    coverage_penalty: CoveragePenalty = None,
    patience: Patience = None,
    min_length: MinLength = None,
    max_length: MaxLength = None,
    repetition_penalty: RepetitionPenalty = None,
    no_repeat_ngram: NoRepeatNgram = None,
    diverse_groups: DiverseGroups = None,
    diversity: Diversity = None,
    prefix: Prefix = None,
    constraint: Constraints = None,
    avoid: Avoid = None,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    seed: Seed = None,
    precision: Precision = None,
    shortlist: ShortlistOnly = False,
    nbest: Annotated[
        int,
        typer.Option(
            "--nbest",
            min=1,
            help="Hypotheses per line. Above 1, each output line is: line number, score, text, separated by tabs.",
        ),
    ] = 1,
    scores: Annotated[bool, typer.Option("--scores", help="Put the score and a tab before each text.")] = False,
    alignments: Annotated[
        bool,
        typer.Option(
            "--alignments",
            help="Put a tab and the word alignment behind each text, as in `0-0 1-2`; in JSON as `alignment`.",
        ),
    ] = False,
    align_from: AlignFrom = None,
    align_layer: AlignLayer = None,
    align_threshold: AlignThreshold = None,
    align_words: AlignWords = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Lines are JSON objects: `source` (and `features`, `task`), or `image` and `question`, are read, `translation` is added, "
            "the rest stays. `prefix`, `constraints`, `avoid`, `min_length`, `max_length` and `seed` are a line's own.",
        ),
    ] = False,
    mbr: Samples = None,
    mbr_utility: LikenessBy = None,
    replace_unknown: ReplaceUnknown = False,
    lexicon: Lexicon = None,
    ensemble: EnsembleRuns = None,
    trace_file: Annotated[
        Path | None,
        typer.Option("--trace", help="Write what the search considered to this file, a line of JSON for each line."),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="What runs the model: native, or ctranslate2, for Transformers of texts; RUN may then be an export to it.",
        ),
    ] = "native",
    quantization: Quantization = "float32",
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Translate lines: one line in, one line out, blank ones too, in order.

    Where the run has feature tags, a line is the source, a tab, and the tags; where it has learnt several tasks, --task says which one.
    Where it reads images, a line is the path of one, and, where there is a question to it, a tab and the question.
    """
    from seqcli.cli.alignment import refuse_images, settings_of
    from seqcli.cli.console import notes, tell_cut, warn
    from seqcli.cli.line_wishes import wishes_of
    from seqcli.cli.minimum_risk import of_samples
    from seqcli.cli.source_words import dictionary_of, known, links_of
    from seqcli.cli.sources import Reading, read_line
    from seqcli.cli.work_view import WorkView
    from seqcli.errors import RecipeError

    notes.quiet = quiet
    options: dict[str, Any] = {
        "beam_size": beam_size,
        "length_penalty": length_penalty,
        "length_normalization": length_normalization,
        "coverage_penalty": coverage_penalty,
        "patience": patience,
        "min_length": min_length,
        "max_length": max_length,
        "repetition_penalty": repetition_penalty,
        "no_repeat_ngram": no_repeat_ngram,
        "diverse_groups": diverse_groups,
        "diversity": diversity,
        "prefix": prefix,
        "constraints": constraint,
        "avoid": avoid,
        "unknown": replace_unknown or None,
        "precision": precision,
        "shortlist": {} if shortlist else None,
    }
    sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "seed": seed}
    refuse_closed(output_file)
    if trace_file is not None:
        refuse_closed(trace_file, "--trace")
    aligning = align_from is not None or align_layer is not None or align_threshold is not None or align_words
    if aligning and not (alignments or replace_unknown):
        raise RecipeError("the options of alignments go with --alignments or --replace-unknown")
    _refuse_writing_twice(trace_file, output_file)
    searching = search_overrides(options, sample=sample, sampling=sampling)
    loaded = _load(run, [*(overrides or []), *searching], checkpoint, ensemble or [], engine, quantization)
    looking = settings_of(align_from, align_layer, align_threshold, words=align_words)
    looked = _with_attention(loaded) if alignments or replace_unknown or lexicon is not None else None
    if looked is not None and alignments:
        refuse_images(looked)
    dictionary = None if looked is None else dictionary_of(looked, lexicon, wanted=replace_unknown)
    loaded.tagging.check(task)
    settings = loaded.settings().at_least(nbest)
    if mbr is not None or mbr_utility is not None:
        settings = of_samples(loaded, settings, mbr, mbr_utility, beam_size=beam_size)
    layout = Layout(as_json, nbest, scores)
    reading = Reading(as_json, loaded.reads_texts, loaded.reads_images, loaded.tagging, task)
    with ExitStack() as files:
        lines = open_input(input_file)
        size = size_of(input_file)
        shared = (is_stream(input_file) and os.isatty(0)) or (is_stream(output_file) and os.isatty(1))
        view = files.enter_context(WorkView("translating", hidden=shared))
        out = files.enter_context(open_output(output_file, input_file))
        _refuse_writing_twice(trace_file, output_file)  # also where the one has made the other
        traced = None if trace_file is None else files.enter_context(open_output(trace_file, input_file))
        number, bytes_done, damaged, unseen = 0, 0, [], []
        for window in windows(lines, WINDOW_IMAGES if reading.images else WINDOW_LINES, input_file):
            texts = [line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace") for line in window]
            damaged += [number + row + 1 for row, line in enumerate(window) if not is_utf8(line)]
            read = [read_line(text, number + row, reading) for row, text in enumerate(texts)]
            examples, complaints = loaded.translator.seen([example for example, _ in read])
            unseen += complaints
            width = sum(map(len, window))
            wishes = [wishes_of(fields, example.origin) for example, fields in read] if as_json else []
            beams: dict[int, list[Node]] = {}
            results = loaded.hypotheses(
                examples,
                settings,
                _share_of(view, size, bytes_done, width),
                wishes=wishes,
                traced=None if traced is None else beams.__setitem__,
            )
            bytes_done += width
            kept = [found[:nbest] for found in results]
            linked: Sequence[list[str] | None] = [None] * len(kept)
            if looked is not None and alignments:
                linked = links_of(looked, examples, kept, looking)
            if looked is not None and dictionary is not None:
                kept = known(looked, examples, kept, dictionary, looking)
            for (example, fields), found, links in zip(read, kept, linked, strict=True):
                out.writelines(f"{line}\n" for line in written(example, fields, found, layout, links))
            out.flush()
            if traced is not None:
                traced.writelines(_traces(loaded, examples, beams))
            number += len(window)
            if size is None:
                view.title = f"translating, {number:,} lines done"
    if damaged:
        warn(f"{len(damaged)} lines have bytes that are not UTF-8, read as \ufffd (the first is line {damaged[0]})")
    if unseen:
        warn(f"{len(unseen)} images cannot be read, and are answered by an empty line (the first: {unseen[0]})")
    tell_cut(loaded.translator)


def _refuse_writing_twice(trace_file: Path | None, output_file: Path | None) -> None:
    """RecipeError where answers and traces would go to one place."""
    from seqcli.errors import RecipeError

    if trace_file is None:
        return
    streams = is_stream(trace_file) and is_stream(output_file)
    if streams or (output_file is not None and is_same(trace_file, output_file)):
        raise RecipeError(f"{trace_file} is written twice; give --trace another name than --output")


def _load(
    run: Path, overrides: list[str], checkpoint: str | None, ensemble: list[Path], engine: str, quantization: str
) -> Translates:
    """The run, ready to be translated by an engine."""
    from seqcli.engine import ENGINES, load_on_ctranslate2
    from seqcli.errors import RecipeError
    from seqcli.run import load

    if engine not in ENGINES:
        raise RecipeError(f"--engine {engine}: there are {' and '.join(ENGINES)}")
    if engine == "ctranslate2":
        if ensemble:
            raise RecipeError("--engine ctranslate2 runs one model; leave --ensemble out, or use the native engine")
        return load_on_ctranslate2(run, overrides, checkpoint=checkpoint, quantization=quantization)
    if quantization != "float32":
        raise RecipeError(f"--quantization {quantization}: only --engine ctranslate2 has it")
    return load(run, overrides, checkpoint=checkpoint, ensemble=ensemble)


def _with_attention(loaded: Translates) -> Run:
    """The run, whose attention can be looked at; RecipeError where an engine shows none."""
    from seqcli.errors import RecipeError
    from seqcli.run import Run

    if not isinstance(loaded, Run):
        raise RecipeError(
            "--alignments and --replace-unknown need the attention that the native engine gives; leave --engine out"
        )
    return loaded


def _share_of(view: WorkView, size: int | None, before: int, width: int) -> Callable[[int, int], None]:
    """What tells the view how far the whole input is while a window of `width` bytes is translated, `before` being done."""

    def told(done: int, total: int) -> None:
        if size is not None:
            view.told(before + width * done // max(total, 1), size)

    return told


def _traces(loaded: Translates, examples: Sequence[Example], beams: Mapping[int, list[Node]]) -> Iterator[str]:
    """What the search considered for each example, by its place, as lines of JSON."""
    from seqcli.json_text import json_text
    from seqcli.search.trace import trace_as_json

    for place, example in enumerate(examples):
        nodes = beams.get(place, [])
        tokens = loaded.translator.target_tokenizer.tokens([node.id for node in nodes])
        record = {"line": example.index + 1, "source": example.source, "beam": trace_as_json(nodes, tokens)}
        yield f"{json_text(record)}\n"


def written(
    example: Example,
    fields: dict[str, Any],
    found: Sequence[Translation],
    layout: Layout,
    links: Sequence[str] | None = None,
) -> Iterable[str]:
    """The output lines for one example, `links` being the alignment of each hypothesis where these are wanted."""
    from seqcli.json_text import json_text

    if layout.as_json:
        return [json_text(_answer(fields, found, layout, links))]
    ends = ["" for _ in found] if links is None else [f"\t{line}" for line in links]
    if layout.nbest > 1:
        return [
            f"{example.index + 1}\t{one.score:.6f}\t{one_line(one.text)}{end}"
            for one, end in zip(found, ends, strict=True)
        ]
    text, score = (one_line(found[0].text), found[0].score) if found else ("", 0.0)
    end = ends[0] if ends else "" if links is None else "\t"
    return [f"{score:.6f}\t{text}{end}" if layout.scores else f"{text}{end}"]


def _answer(
    fields: dict[str, Any], found: Sequence[Translation], layout: Layout, links: Sequence[str] | None
) -> dict[str, Any]:
    """The JSON object for one example."""
    best = found[0] if found else None
    answer = {**fields, "translation": best.text if best else "", "score": best.score if best else None}
    if links is not None:
        answer["alignment"] = links[0] if links else ""
    if layout.nbest > 1:
        answer["translations"] = [{"text": one.text, "score": one.score, "log_prob": one.log_prob} for one in found]
        for one, line in zip(answer["translations"], links or (), strict=False):
            one["alignment"] = line
    return answer
