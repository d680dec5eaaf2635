"""`seqcli translate`: a filter from sources to hypotheses. Nothing but data on stdout, one answer a line, in order."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
    Quiet,
    ReplaceUnknown,
    RunFolder,
    Samples,
)
from seqcli.cli.streams import (
    WINDOW_IMAGES,
    WINDOW_LINES,
    is_utf8,
    one_line,
    open_input,
    open_output,
    size_of,
    stdout,
    windows,
)

if TYPE_CHECKING:
    from seqcli.analysis.alignment import AlignmentSettings
    from seqcli.cli.work_view import WorkView
    from seqcli.evaluation.translator import SearchSettings, Translation
    from seqcli.run import Run
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
            help="Lines are JSON objects: `source` (and `features`), or `image` and `question`, are read, `translation` is added, the "
            "rest stays.",
        ),
    ] = False,
    mbr: Samples = None,
    mbr_utility: LikenessBy = None,
    replace_unknown: ReplaceUnknown = False,
    lexicon: Lexicon = None,
    ensemble: EnsembleRuns = None,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
) -> None:
    """Translate lines: one line in, one line out, blank ones too, in order.

    Where the run has feature tags, a line is the source, a tab, and the tags. Where it reads images, a line is the path of one, and, where
    there is a question to it, a tab and the question.
    """
    from seqcli.cli.alignment import refuse_images, settings_of
    from seqcli.cli.console import notes, tell_cut, warn
    from seqcli.cli.sources import Reading, read_line
    from seqcli.cli.work_view import WorkView
    from seqcli.run import load

    notes.quiet = quiet
    loaded = load(run, overrides or [], checkpoint=checkpoint, ensemble=ensemble or [])
    looking = settings_of(align_from, align_layer, align_threshold, words=align_words)
    if alignments:
        refuse_images(loaded)
    dictionary = _dictionary(loaded, lexicon, wanted=replace_unknown)
    settings = loaded.settings(beam_size)
    settings = replace(settings, beam_size=max(settings.beam_size, nbest))
    if length_penalty is not None:
        settings = replace(settings, length_penalty=length_penalty)
    settings = replace(settings, unknown=settings.unknown or replace_unknown)
    if mbr is not None or mbr_utility is not None:
        settings = _of_samples(loaded, settings, mbr, mbr_utility, beam_size=beam_size)
    layout = Layout(as_json, nbest, scores)
    reading = Reading(as_json, loaded.reads_texts, loaded.reads_images, loaded.features_separator)
    with ExitStack() as files:
        lines = open_input(input_file)
        size = size_of(input_file)
        shared = (input_file is None and os.isatty(0)) or (output_file is None and os.isatty(1))
        view = files.enter_context(WorkView("translating", hidden=shared))
        out = stdout() if output_file is None else files.enter_context(open_output(output_file, input_file))
        number, bytes_done, damaged, unseen = 0, 0, [], []
        for window in windows(lines, WINDOW_IMAGES if reading.images else WINDOW_LINES):
            texts = [line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace") for line in window]
            damaged += [number + row + 1 for row, line in enumerate(window) if not is_utf8(line)]
            read = [read_line(text, number + row, reading) for row, text in enumerate(texts)]
            examples, complaints = loaded.translator.seen([example for example, _ in read])
            unseen += complaints
            width = sum(map(len, window))
            results = loaded.hypotheses(examples, settings, _share_of(view, size, bytes_done, width))
            bytes_done += width
            kept = [found[:nbest] for found in results]
            linked = _linked(loaded, examples, kept, looking) if alignments else [None] * len(kept)
            if dictionary is not None:
                kept = _known(loaded, examples, kept, dictionary, looking)
            for (example, fields), found, links in zip(read, kept, linked, strict=True):
                out.writelines(f"{line}\n" for line in written(example, fields, found, layout, links))
            out.flush()
            number += len(window)
            if size is None:
                view.title = f"translating, {number:,} lines done"
    if damaged:
        warn(f"{len(damaged)} lines have bytes that are not UTF-8, read as \ufffd (the first is line {damaged[0]})")
    if unseen:
        warn(f"{len(unseen)} images cannot be read, and are answered by an empty line (the first: {unseen[0]})")
    tell_cut(loaded.translator)


def _share_of(view: WorkView, size: int | None, before: int, width: int) -> Callable[[int, int], None]:
    """What tells the view how far the whole input is while a window of `width` bytes is translated, `before` being done."""

    def told(done: int, total: int) -> None:
        if size is not None:
            view.told(before + width * done // max(total, 1), size)

    return told


def _linked(
    loaded: Run, examples: Sequence[Example], found: Sequence[Sequence[Translation]], settings: AlignmentSettings
) -> list[list[str] | None]:
    """The alignment of each hypothesis of each example as text."""
    from seqcli.data.pharaoh import format_links

    pairs = [(example, one) for example, several in zip(examples, found, strict=True) for one in several]
    links = iter(loaded.alignments([example for example, _ in pairs], [one for _, one in pairs], settings))
    return [[format_links(next(links)) for _ in several] for several in found]


def _known(
    loaded: Run,
    examples: Sequence[Example],
    found: Sequence[Sequence[Translation]],
    lexicon: Mapping[str, str],
    settings: AlignmentSettings,
) -> list[list[Translation]]:
    """The hypotheses of each example with words for what is unknown."""
    pairs = [(example, one) for example, several in zip(examples, found, strict=True) for one in several]
    known = loaded.without_unknown(
        [example for example, _ in pairs], [one for _, one in pairs], lexicon=lexicon, settings=settings
    )
    each = iter(known)
    return [[next(each) for _ in several] for several in found]


def _dictionary(loaded: Run, lexicon: Path | None, *, wanted: bool) -> dict[str, str] | None:
    """The translations of words that are written for unknown ones, if such are `wanted`. RecipeError where they cannot be."""
    from seqcli.analysis.unknown_words import check_words_to_take
    from seqcli.data.lexicon import read_lexicon
    from seqcli.errors import RecipeError

    if not wanted:
        if lexicon is not None:
            raise RecipeError("--lexicon goes with --replace-unknown")
        return None
    check_words_to_take(loaded.translator)
    return {} if lexicon is None else read_lexicon(lexicon)


def _of_samples(
    loaded: Run, settings: SearchSettings, samples: int | None, utility: str | None, *, beam_size: int | None
) -> SearchSettings:
    """The settings of a search that draws samples and ranks them by what is expected of them."""
    from seqcli.errors import RecipeError
    from seqcli.evaluation.minimum_risk import MinimumRisk
    from seqcli.search.sampling import Sampling

    if samples is None:
        raise RecipeError("--mbr-utility goes with --mbr")
    if beam_size is not None:
        raise RecipeError(f"--mbr {samples} goes without --beam-size: it is the number of samples")
    if utility not in (None, "chrf", "bleu"):
        raise RecipeError(f"--mbr-utility {utility}: there are chrf and bleu")
    risk = MinimumRisk(utility or "chrf", loaded.recipe.evaluation.bleu_tokenize)  # type: ignore[arg-type]
    return replace(settings, beam_size=samples, sampling=settings.sampling or Sampling(), minimum_risk=risk)


def written(
    example: Example,
    fields: dict[str, Any],
    found: Sequence[Translation],
    layout: Layout,
    links: Sequence[str] | None = None,
) -> Iterable[str]:
    """The output lines for one example, `links` being the alignment of each hypothesis where these are wanted."""
    if layout.as_json:
        return [json.dumps(_answer(fields, found, layout, links), ensure_ascii=False)]
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
