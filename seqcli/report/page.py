"""The whole page: what is said of one run, or of several side by side, in the order in which one asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from seqcli import __version__
from seqcli.comparison import Comparison
from seqcli.figures.hover import HOVER_CSS, HOVER_JS
from seqcli.report import pictures, scores, sentences
from seqcli.report.card import show_card
from seqcli.report.elements import Html, folded, heading, joined, json_script, paragraph, pre, section, table, text
from seqcli.report.facts import RunFacts

CSS = files("seqcli.report").joinpath("report.css").read_text(encoding="utf-8")
NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The content security policy: even if a text of the data got through as markup, nothing would be fetched."""


@dataclass(frozen=True)
class Content:
    """What goes into a page: the runs, their `split`, the metric of texts that sentences are ordered by (None if there is none), the comparison
    where there are several, how many sentences are shown and in how many attention is, and the settings of the bootstrap."""

    facts: Sequence[RunFacts]
    split: str
    metric: str | None
    comparison: Comparison | None
    sentences: int
    attended: int
    attention_bytes: float
    resamples: int
    seed: int


def page(content: Content) -> str:
    """The page as HTML. It refers to nothing outside of itself; all texts in it are escaped."""
    sections = _sections(content)
    names = [one.name for one in content.facts]
    title = f"{', '.join(names)}: seqcli report"
    links = joined([Html(f'<a href="#{name}">{text(label)}</a>') for name, label, _ in sections])
    body = joined([section(name, label, inside) for name, label, inside in sections])
    records = {
        one.name: [{k: v for k, v in record.items() if k != "sample"} for record in one.records]
        for one in content.facts
    }
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{NOTHING_FROM_OUTSIDE}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,">\n<title>{text(title)}</title>\n<style>\n{CSS}\n{HOVER_CSS}\n</style>\n</head>\n<body>\n'
        f"<header><h1>{text(', '.join(names))}</h1><nav>{links}</nav></header>\n<main>\n{body}</main>\n"
        f'<footer class="note">seqcli {text(__version__)}</footer>\n'
        f"{json_script('records', records)}<script>\n{HOVER_JS}\n</script>\n</body>\n</html>\n"
    )


def _sections(content: Content) -> list[tuple[str, str, Html]]:
    """The chapters: name, title, inside."""
    facts, metric, comparison = content.facts, content.metric, content.comparison
    found = [("scores", "Scores", scores.scores(facts, content.split, comparison))]
    if comparison is not None:
        moved = sentences.moved(facts, comparison, metric, content.sentences)
        found += [
            ("differences", "What differs in the recipes", scores.recipe_table(comparison)),
            ("moved", "Sentences that moved most", moved),
        ]
    lengths = pictures.lengths(facts, metric, resamples=content.resamples, seed=content.seed)
    attended = sentences.attention(facts, metric, content.attended, content.attention_bytes)
    return [
        *found,
        ("curves", "Learning curves", pictures.curves(facts)),
        ("records", "Records", scores.records(facts)),
        ("lengths", "Score by length", lengths),
        ("sentences", "Best and worst sentences", sentences.extremes(facts, metric, content.sentences)),
        ("attention", "Attention", attended),
        ("gradients", "Gradient flow", pictures.gradients(facts)),
        ("cost", "Time and memory", scores.cost(facts)),
        ("data", "Data", _for_each(facts, lambda one: show_card(one.card, one.run))),
        ("recipe", "Recipe", joined([folded(f"the whole recipe of {one.name}", pre(one.recipe)) for one in facts])),
        ("environment", "Environment", _environment(facts)),
    ]


def _for_each(facts: Sequence[RunFacts], show: Callable[[RunFacts], Html]) -> Html:
    """The same of each run, under its name where there are several."""
    if len(facts) == 1:
        return show(facts[0])
    return joined([joined([heading(one.name), show(one)]) for one in facts])


def _environment(facts: Sequence[RunFacts]) -> Html:
    """What each run was made with, as its `environment.json` has it."""
    names = list(dict.fromkeys(name for one in facts for name in one.environment))
    if not names:
        return paragraph(text("No environment was recorded."), "note")
    rows = [[text(name), *(text(str(one.environment.get(name, "–"))) for one in facts)] for name in names]
    return table(["", *(one.name for one in facts)], rows, left=1 + len(facts))
