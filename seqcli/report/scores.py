"""Scores: of the test set with signatures and intervals, and of each validation as `metrics.jsonl` has them; and what tells runs apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqcli.comparison import Comparison
from seqcli.evaluation.comparison import PairedTest
from seqcli.report.elements import Html, folded, heading, joined, number, paragraph, pre, table, text
from seqcli.report.facts import RunFacts
from seqcli.types import Metric

SHOWN_RECORDS = 200


def figure(value: float) -> str:
    """A number with as many places as one reads."""
    if value == 0 or 0.1 <= abs(value) < 100000:
        return f"{value:.2f}"
    return f"{value:.4f}" if 0.001 <= abs(value) < 0.1 else f"{value:.2e}"


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def scores(facts: Sequence[RunFacts], split: str, comparison: Comparison | None) -> Html:
    """A row for each metric and run, and the signatures below; tests against the first run where there are several."""
    scored = [one for one in facts if one.evaluation is not None]
    parts = [
        paragraph(text(f"{one.name} is not scored here: {one.unscored}."), "note")
        for one in facts
        if one.evaluation is None
    ]
    if not scored or scored[0].evaluation is None:
        return joined(parts)
    rows = []
    for metric in scored[0].evaluation.metrics:
        for one in scored:
            assert one.evaluation is not None
            cells = [text(metric), text(one.name), *_score_cells(one.evaluation.metrics[metric], one.name, metric)]
            test = _test_of(comparison, one.name, metric)
            rows.append([*cells, *(_test_cells(test) if comparison else [])])
    columns = ["metric", "run", "value", "95 % interval"]
    tests = ["difference", "p, paired bootstrap", "p, approximate randomisation"] if comparison else []
    signatures = "\n".join(f"{name}  {metric.signature}" for name, metric in scored[0].evaluation.metrics.items())
    count = len(scored[0].evaluation.examples)
    checkpoints = ", ".join(dict.fromkeys(one.run.checkpoint.name for one in scored))
    parts += [
        paragraph(text(f"The {split} split, {count:,} examples; checkpoint: {checkpoints}.")),
        table([*columns, *tests], rows, left=2),
        pre(signatures),
    ]
    notes = [] if comparison is None else comparison.notes
    return joined([*parts, *(paragraph(text(each), "note") for each in notes)])


def _score_cells(metric: Metric, run: str, name: str) -> list[Html]:
    value = number(metric.value, figure(metric.value), run=run, score=name)
    if metric.interval is None:
        return [value, Html("")]
    return [value, joined([number(bound, figure(bound)) for bound in metric.interval], "–")]


def _test_of(comparison: Comparison | None, run: str, metric: str) -> PairedTest | None:
    found = [] if comparison is None else comparison.tests.get(run, [])
    return next((test for test in found if test.metric == metric), None)


def _test_cells(test: PairedTest | None) -> list[Html]:
    if test is None:
        return [Html("")] * 3
    ps = [Html("same") if p is None else number(p, f"{p:.4f}") for p in (test.bootstrap, test.randomisation)]
    return [number(test.difference, signed(test.difference)), *ps]


def records(facts: Sequence[RunFacts]) -> Html:
    """What `metrics.jsonl` has: each validation's scores, and, folded, the averages of training."""
    parts: list[Html] = []
    for one in facts:
        validations, training = one.of_event("validation"), one.of_event("train")
        title = f"{one.name}: " if len(facts) > 1 else ""
        if validations:
            parts += [heading(f"{title}validations"), _records_table(one, validations, "scores")]
        if training:
            parts.append(folded(f"{title}{len(training):,} records of training", _records_table(one, training, None)))
    return joined(parts)


def _records_table(one: RunFacts, found: Sequence[dict[str, Any]], inside: str | None) -> Html:
    """A row a record; of very many the last ones."""
    shown = found[-SHOWN_RECORDS:]
    values = [record.get(inside, {}) if inside else record for record in shown]
    skipped = {"event", "step", "epoch", "sample", "gradient_norms", "scores"}
    names = list(dict.fromkeys(name for each in values for name in each if name not in skipped))
    rows = [
        [
            number(record["step"], f"{record['step']:,}"),
            *(_recorded(one.name, record, name, each.get(name)) for name in names),
        ]
        for record, each in zip(shown, values, strict=True)
    ]
    cut = "" if len(found) == len(shown) else f"The last {len(shown):,} of {len(found):,}."
    return joined([paragraph(text(cut), "note") if cut else Html(""), table(["step", *names], rows, left=0)])


def _recorded(run: str, record: dict[str, Any], name: str, value: Any) -> Html:
    if value is None:
        return Html("")
    shown = f"{value:,}" if isinstance(value, int) else figure(value)
    return number(value, shown, run=run, event=record["event"], step=record["step"], name=name)


def recipe_table(comparison: Comparison) -> Html:
    """What differs between the recipes, by key."""
    if not comparison.recipe:
        return paragraph(text("The recipes are the same."))
    rows = [
        [text(key), *(text(_value(values[name])) if name in values else Html("–") for name in comparison.names)]
        for key, values in comparison.recipe.items()
    ]
    return table(["key", *comparison.names], rows, left=1 + len(comparison.names))


def _value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def cost(facts: Sequence[RunFacts]) -> Html:
    """Time and memory, as the records tell them."""
    rows: list[list[Html]] = []

    def row(label: str, cells: list[Html]) -> None:
        rows.append([text(label), *cells])

    costs = [one.cost for one in facts]
    unknown = Html('<span class="faint">not recorded</span>')
    row("parameters", [number(each.parameters, f"{each.parameters:,}") for each in costs])
    row("steps", [number(each.steps, f"{each.steps:,}") for each in costs])
    row("epochs", [number(each.epochs, f"{each.epochs:,}") for each in costs])
    row(
        "training",
        [unknown if each.seconds is None else number(each.seconds, duration(each.seconds)) for each in costs],
    )
    row(
        "most memory in use",
        [
            unknown if each.peak_bytes is None else number(each.peak_bytes, f"{each.peak_bytes / 2**30:.2f} GiB")
            for each in costs
        ],
    )
    rates = [each.tokens_per_second for each in costs]
    row(
        "target symbols a second, median", [unknown if rate is None else number(rate, f"{rate:,.0f}") for rate in rates]
    )
    shares = [each.padding for each in costs]
    row("padding", [unknown if share is None else number(share, f"{100 * share:.1f} %") for share in shares])
    for label, counts in (
        ("steps skipped, no number", [each.skipped for each in costs]),
        ("steps with a spike of the loss", [each.spikes for each in costs]),
        ("rewinds", [each.rewinds for each in costs]),
    ):
        row(label, [number(count, f"{count:,}") for count in counts])
    note = paragraph(text("Time is that of training steps, without validation, checkpoints and start."), "note")
    return joined([table(["", *(one.name for one in facts)], rows), note])


def duration(seconds: float) -> str:
    """Seconds as one says them: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
