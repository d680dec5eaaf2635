"""Sentences that show what a model can do and what not: the best, the worst, those that moved most; and the attention behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqcli.analysis.attention_kinds import AttentionKind, kinds_of
from seqcli.comparison import Comparison
from seqcli.errors import SeqcliError
from seqcli.evaluation.attention import AttentionMaps, attention_maps, picture_of
from seqcli.evaluation.comparison import best_first
from seqcli.evaluation.counting import count
from seqcli.evaluation.evaluate import Evaluation
from seqcli.figures.hover import HoverMap, attention_hover
from seqcli.figures.inline import image_address, inline_picture
from seqcli.figures.overlay import overlay_figure
from seqcli.report.card import THUMBNAIL, image
from seqcli.report.elements import Html, folded, heading, joined, number, paragraph, quoted, table, text
from seqcli.report.facts import RunFacts
from seqcli.report.scores import figure, signed

BYTES_A_WEIGHT = 3.2
"""Of attention in a page: up to four characters, most of them "0,"."""


def extremes(facts: Sequence[RunFacts], metric: str | None, shown: int) -> Html:
    """The best and the worst sentences of each run in a metric of texts."""
    parts: list[Html] = []
    for one in facts:
        if one.evaluation is None or metric is None:
            continue
        order = _order(one.evaluation, metric)
        # no sentence is among both
        some = min(shown, (len(order) + 1) // 2)
        title = f"{one.name}: " if len(facts) > 1 else ""
        for name, rows in (("worst", order[::-1][:some]), ("best", order[:some])):
            parts.append(heading(f"{title}{name} by {metric}, then by chrF"))
            parts += [_sentence(one, one.evaluation, metric, row) for row in rows]
    return joined(parts) if parts else paragraph(text("No metric of texts was computed."), "note")


def _order(evaluation: Evaluation, metric: str) -> list[int]:
    lengths = [len(example.source) or len(example.target or "") for example in evaluation.examples]
    texts = evaluation.hypotheses, evaluation.references
    chrf = count(["chrf"], *texts, bleu_tokenize="none", split=list, one_word=False)["chrf"]
    return [int(row) for row in best_first(metric, evaluation.counts[metric], chrf.items(), lengths)]


def _sentence(one: RunFacts, evaluation: Evaluation, metric: str, row: int) -> Html:
    value = float(evaluation.counts[metric].items()[row])
    rows = [*_source(one, evaluation, row), [text("written"), quoted(evaluation.hypotheses[row])]]
    title = f"sentence {row + 1:,}"
    rows.append([text(metric), number(value, figure(value))])
    return table([title, ""], rows, left=2, kind="texts")


def _source(one: RunFacts, evaluation: Evaluation, row: int) -> list[list[Html]]:
    """Rows for what was read, and what would have been right."""
    example = evaluation.examples[row]
    picture = picture_of(one.run.translator, example)
    rows = [] if picture is None else [[text("image"), image(image_address(picture, THUMBNAIL))]]
    if example.source:
        rows.append([text("source"), quoted(example.source)])
    return rows + [[text("reference"), quoted(reference)] for reference in evaluation.references[row]]


def moved(facts: Sequence[RunFacts], comparison: Comparison, metric: str | None, shown: int) -> Html:
    """The sentences that differ most between the first run and each other."""
    found = comparison.moved(metric, shown) if metric else []
    if not found or facts[0].evaluation is None:
        return paragraph(text("No sentence is scored differently."), "note")
    parts = []
    for each in found:
        rows = [[*row, Html("")] for row in _source(facts[0], facts[0].evaluation, each.number - 1)]
        pairs = zip((facts[0].name, each.run), each.outputs, each.scores, strict=True)
        rows += [[text(name), quoted(output), number(score, figure(score))] for name, output, score in pairs]
        parts.append(
            table([f"sentence {each.number:,}", f"{metric} {signed(each.difference)}", ""], rows, left=2, kind="texts")
        )
    return joined(parts)


def attention(facts: Sequence[RunFacts], metric: str | None, shown: int, budget: float) -> Html:
    """What each run looked at while it wrote the first run's worst and best sentences, side by side; in about `budget` bytes at most."""
    first = facts[0].evaluation
    if first is None or metric is None or not shown:
        return paragraph(text("No sentence was translated."), "note")
    order = _order(first, metric)
    chosen = list(dict.fromkeys([*order[::-1][: (shown + 1) // 2], *order[: shown // 2]]))
    room = budget / len(chosen) / len(facts) / 2
    weights = int(room / BYTES_A_WEIGHT)
    parts, told = [], dict[str, None]()
    for row in chosen:
        maps = [
            found
            for one in facts
            if (found := _hover_map(one, row, weights, told, title=one.name if len(facts) > 1 else "")) is not None
        ]
        if maps:
            example = first.examples[row]
            parts.append(heading(f"sentence {row + 1:,}: {example.source or example.origin}"))
            parts.append(Html(attention_hover(maps)))
            # the same to be printed, and for browsers that run no scripts
            parts += [
                folded("as a picture", image(address)) for one in maps if (address := _overlay(one, room)) is not None
            ]
    return joined([*parts, *(paragraph(text(each), "note") for each in told)])


def _hover_map(one: RunFacts, row: int, weights: int, told: dict[str, None], *, title: str) -> HoverMap | None:
    """What a run looked at while it wrote its own translation; None, and why in `told`, where there is nothing to show."""
    if one.evaluation is None:
        return None
    asked = replace(one.evaluation.examples[row], target=None, boxes=())
    translator = one.run.translator
    try:
        found = attention_maps(translator, [asked], one.run.settings())[0]
    except SeqcliError as error:
        told[f"{one.name}: {error}."] = None
        return None
    kinds = _within(found, weights)
    names = [kind.name for kind in kinds]
    left_out = [kind.title for kind in kinds_of(found) if kind.name not in names]
    if left_out:
        told[
            f"{one.name}: {', '.join(left_out)} is left out to keep the page small; see `seqcli visualize attention`."
        ] = None
    return HoverMap(title, kinds, found.image) if kinds else None


def _overlay(one: HoverMap, room: float) -> str | None:
    """The attention over an image as an address that carries the picture; None where there is no image, or the picture is above `room` bytes."""
    cross = next((kind for kind in one.kinds if kind.name == "cross" and kind.grid), None)
    if cross is None or one.image is None or cross.grid is None:
        return None
    cells = cross.grid[0] * cross.grid[1]
    mean = cross.mean
    read = cross.columns[cells:] or None
    drawn = overlay_figure(
        one.image,
        mean[:, :cells].reshape(-1, *cross.grid),
        cross.rows,
        context_weights=mean[:, cells:] if read else None,
        context_words=read,
    )
    address = inline_picture(drawn)
    return address if len(address) <= room else None


def _within(maps: AttentionMaps, weights: int) -> list[AttentionKind]:
    """The kinds of attention that have no more than so many weights between them, cross-attention before all others; in their own order."""
    kinds = kinds_of(maps)
    kept, room = [], weights
    for kind in sorted(kinds, key=lambda kind: kind.name != "cross"):
        if kind.weights.size <= room:
            kept.append(kind.name)
            room -= kind.weights.size
    return [kind for kind in kinds if kind.name in kept]
