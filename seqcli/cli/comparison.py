"""The tables that `seqcli compare` prints."""

from __future__ import annotations

from seqcli.cli.console import data, excerpt, figure, table
from seqcli.comparison import Comparison, MovedSentence
from seqcli.evaluation.comparison import PairedTest
from seqcli.recipe.tree import shown


def print_comparison(found: Comparison, moved_by: str | None, number: int) -> None:
    """Print scores, tests, what differs in the recipes, and the `number` sentences that moved most, to stdout."""
    data.print(
        table(found.split, ["metric", "run", "value", "95 % interval", *TEST_COLUMNS], _score_rows(found), left=2)
    )
    data.print()
    for metric, scored in found.evaluations[0].metrics.items():
        # by themselves, so that they can be copied whole
        data.print(f"{metric}  {scored.signature}", style="dim", soft_wrap=True)
    data.print()
    rows = [
        [key, *(_shown(values[name]) if name in values else "–" for name in found.names)]
        for key, values in found.recipe.items()
    ]
    if rows:
        data.print("what differs in the recipes", style="bold")
        data.print(table(None, ["key", *found.names], rows, left=1 + len(found.names)))
    else:
        data.print("the recipes are the same")
    moved = found.moved(moved_by, number) if moved_by else []
    for one in moved:
        data.print()
        data.print(_title(one, moved_by or ""), style="bold")
        data.print(table(None, ["", ""], _sentence_rows(one, found.names[0]), left=2))


TEST_COLUMNS = ("difference", "p bootstrap", "p randomisation")


def _score_rows(found: Comparison) -> list[list[str]]:
    rows = []
    for metric in found.evaluations[0].metrics:
        for name, evaluation in zip(found.names, found.evaluations, strict=True):
            scored = evaluation.metrics[metric]
            bounds = "–".join(figure(bound) for bound in scored.interval) if scored.interval else ""
            test = next((test for test in found.tests.get(name, []) if test.metric == metric), None)
            head = metric if name == found.names[0] else ""
            rows.append([head, name, figure(scored.value), bounds, *_test_cells(test)])
    return rows


def _test_cells(test: PairedTest | None) -> list[str]:
    if test is None:
        return ["", "", ""]
    return [f"{test.difference:+.2f}", *(p_value(each) for each in (test.bootstrap, test.randomisation))]


def p_value(p: float | None) -> str:
    """A p-value with as many places as its resamples bear; "same" where there was nothing to test."""
    return "same" if p is None else f"{p:.4f}"


def _shown(value: object) -> str:
    return excerpt(str(value)) if isinstance(value, list) else excerpt(shown(value))


def _title(one: MovedSentence, metric: str) -> str:
    before, after = (figure(score) for score in one.scores)
    return f"sentence {one.number:,}: {metric} {before} → {after} ({one.difference:+.2f}) in {one.run}"


def _sentence_rows(one: MovedSentence, first: str) -> list[list[str]]:
    texts = [("source", one.source), *(("reference", text) for text in one.references)]
    return [[label, excerpt(text)] for label, text in (*texts, *zip((first, one.run), one.outputs, strict=True))]
