"""The pictures of a report: learning curves, scores by length, and gradient flow, drawn for the page's own colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seqcli.analysis.flow import GradientHistory
from seqcli.analysis.lengths import LengthCurve, length_edges, length_scores, source_lengths
from seqcli.errors import SeqcliError
from seqcli.figures.curves import curves_figure
from seqcli.figures.gradients import gradients_figure
from seqcli.figures.inline import inline_svg
from seqcli.figures.lengths import lengths_figure
from seqcli.gradient_flow import run_history
from seqcli.report.elements import Html, joined, number, paragraph, scrolling, table, text
from seqcli.report.facts import RunFacts
from seqcli.run import CHECKPOINTS
from seqcli.training.checkpoint import step_folders, step_of

MOST_GRADIENT_RUNS = 7
"""As many as there are colours."""


def curves(facts: Sequence[RunFacts]) -> Html:
    """A panel for each thing that was recorded, all runs on one axis."""
    # a run alone needs no name above each panel
    runs = {one.name if len(facts) > 1 else "": one.records for one in facts if one.records}
    panels = list(dict.fromkeys(name for records in runs.values() for name in _recorded(records)))
    if not panels:
        return paragraph(text("There are no records yet."), "note")
    figures = [inline_svg(curves_figure(runs, metrics=[name]), f"learning curve: {name}") for name in panels]
    told = [
        f"{one.name}: {one.all_records:,} records, of which {len(one.records):,}, evenly spaced, are drawn."
        for one in facts
        if one.all_records > len(one.records)
    ]
    return joined(
        [
            *(paragraph(text(each), "note") for each in told),
            Html(f'<div class="panels">{joined([Html(each) for each in figures])}</div>'),
        ]
    )


def _recorded(records: Sequence[dict[str, object]]) -> Iterator[str]:
    for name in ("loss", "learning_rate", "grad_norm"):
        if any(record.get(name) is not None for record in records):
            yield name
    for record in records:
        scores = record.get("scores")
        if isinstance(scores, dict):
            yield from scores


def lengths(facts: Sequence[RunFacts], metric: str | None, *, resamples: int, seed: int) -> Html:
    """The metric against the length of the source, all runs on one axis."""
    scored = [one for one in facts if one.evaluation is not None]
    if metric is None or not scored or scored[0].evaluation is None:
        return paragraph(text("No metric of texts was computed."), "note")
    first = scored[0]
    examples = scored[0].evaluation.examples
    try:
        sizes = source_lengths(examples, "symbols", first.run.translator.source_tokenizer)
    except SeqcliError:
        return paragraph(
            text("The sources are images, which have no length; the target's is in the data card."), "note"
        )
    edges = length_edges(sizes)
    found = [
        LengthCurve(
            one.name, length_scores([one.evaluation.counts[metric]], sizes, edges, resamples=resamples, seed=seed)
        )
        for one in scored
        if one.evaluation is not None
    ]
    rows = [
        [
            number(bucket.low, f"{bucket.low}–{bucket.high}"),
            number(bucket.count, f"{bucket.count:,}"),
            *(number(curve.scores[place].value, f"{curve.scores[place].value:.2f}") for curve in found),
        ]
        for place, bucket in enumerate(found[0].scores)
    ]
    figure = inline_svg(lengths_figure(found, metric), f"{metric} against the length of the source")
    names = [curve.label for curve in found] if len(found) > 1 else [metric]
    return joined([scrolling(Html(figure)), table(["symbols", "sentences", *names], rows)])


def gradients(facts: Sequence[RunFacts]) -> Html:
    """How far back the loss of the last target step is felt, before the first step and after the last, and half-lives in words."""
    histories, told = [], []
    for one in facts[:MOST_GRADIENT_RUNS]:
        kept = step_folders(one.run.folder / CHECKPOINTS)
        try:
            history = run_history(one.run.folder, steps=[0, *(step_of(folder) for folder in kept[-1:])], label=one.name)
            histories.append(history)
        except SeqcliError as error:
            told.append(paragraph(text(f"{one.name}: {error}"), "note"))
    if not histories:
        return joined(told)
    rows = [row for history in histories for row in _half_lives(history)]
    figure = inline_svg(gradients_figure(histories), "gradient by every state before the last target step")
    return joined(
        [scrolling(Html(figure)), table(["run", "step", "states", "gradient, a step back"], rows, left=4), *told]
    )


def _half_lives(history: GradientHistory) -> Iterator[list[Html]]:
    for flow in history.flows:
        for chain in flow.mains:
            yield [text(history.label), number(flow.step, f"{flow.step:,}"), text(chain.name), text(chain.fade.words)]
