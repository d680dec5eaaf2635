"""The options of a search, as overrides of the recipe's `search` section: so that what is checked there is checked here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

PANEL = "How to search"

LengthPenalty = Annotated[
    float | None,
    typer.Option(
        "--length-penalty", min=0.0, help="Scores are divided by length to this power.", rich_help_panel=PANEL
    ),
]
LengthNormalization = Annotated[
    str | None,
    typer.Option(
        "--length-normalization",
        metavar="KIND",
        help="What a score is divided by: average, length to the power of --length-penalty; gnmt, ((5 + length) / 6) to that power; none, nothing.",
        rich_help_panel=PANEL,
    ),
]
CoveragePenalty = Annotated[
    float | None,
    typer.Option(
        "--coverage-penalty",
        min=0.0,
        help="Weight of the penalty for leaving parts of the source unread; 0 is none.",
        rich_help_panel=PANEL,
    ),
]
Patience = Annotated[
    str | None,
    typer.Option(
        "--patience",
        metavar="FACTOR",
        help="Stop when this many times the beam size hypotheses have finished; null: only when no better one is possible.",
        rich_help_panel=PANEL,
    ),
]
MinLength = Annotated[
    int | None,
    typer.Option(
        "--min-length",
        min=0,
        metavar="N",
        help="Write at least N symbols, counting the end.",
        rich_help_panel=PANEL,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length", min=1, metavar="N", help="Write at most N symbols, counting the end.", rich_help_panel=PANEL
    ),
]
RepetitionPenalty = Annotated[
    float | None,
    typer.Option(
        "--repetition-penalty",
        min=1.0,
        help="Make symbols that are already in the translation less likely.",
        rich_help_panel=PANEL,
    ),
]
NoRepeatNgram = Annotated[
    int | None,
    typer.Option(
        "--no-repeat-ngram",
        min=1,
        metavar="N",
        help="Never write the same N symbols in a row twice.",
        rich_help_panel=PANEL,
    ),
]
DiverseGroups = Annotated[
    int | None,
    typer.Option(
        "--diverse-groups", min=1, help="Part the beam into so many groups that differ.", rich_help_panel=PANEL
    ),
]
Diversity = Annotated[
    float | None, typer.Option("--diversity", min=0.0, help="How much the groups are to differ.", rich_help_panel=PANEL)
]
Prefix = Annotated[
    str | None, typer.Option("--prefix", help="Begin every translation with this.", rich_help_panel=PANEL)
]
Constraints = Annotated[
    list[str] | None,
    typer.Option(
        "--constraint",
        help="Write this phrase in every translation; may be given several times.",
        rich_help_panel=PANEL,
    ),
]
Avoid = Annotated[
    list[str] | None,
    typer.Option(
        "--avoid", help="Write this phrase in no translation; may be given several times.", rich_help_panel=PANEL
    ),
]
Sample = Annotated[
    bool, typer.Option("--sample", help="Draw symbols instead of taking the most likely.", rich_help_panel=PANEL)
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", help="Sample, from scores divided by this.", rich_help_panel=PANEL)
]
TopK = Annotated[
    int | None,
    typer.Option("--top-k", min=1, metavar="N", help="Sample from the N most likely symbols.", rich_help_panel=PANEL),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p",
        help="Sample from the fewest most likely symbols whose probabilities add up to this.",
        rich_help_panel=PANEL,
    ),
]
MinP = Annotated[
    float | None,
    typer.Option(
        "--min-p",
        help="Sample from symbols at least this fraction as likely as the most likely one.",
        rich_help_panel=PANEL,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="TYPE",
        help="Matrix products in float32, in bf16, or in what is quicker here: auto.",
        rich_help_panel=PANEL,
    ),
]
ShortlistOnly = Annotated[
    bool,
    typer.Option(
        "--shortlist",
        help="Score only those symbols that the source can need, as learnt from the training data.",
        rich_help_panel=PANEL,
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Sample, with this seed.", rich_help_panel=PANEL)]


def search_overrides(options: Mapping[str, Any], *, sample: bool, sampling: Mapping[str, Any]) -> list[str]:
    """The options that were given, and those of sampling, any of which turns it on, as overrides of a recipe."""
    drawn = dict(_given(sampling))
    first = ["search.sampling={}"] if sample or drawn else []
    return [
        *first,
        *(f"search.sampling.{key}={json.dumps(value)}" for key, value in drawn.items()),
        *(f"search.{key}={_written(key, value)}" for key, value in _given(options)),
    ]


def _written(key: str, value: Any) -> str:
    # what is a number or null is read by the recipe
    return value if key == "patience" else json.dumps(value, ensure_ascii=False)


def _given(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((key, value) for key, value in options.items() if value is not None and value != [])
