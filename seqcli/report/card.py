"""The data card: how many examples, how long they are, what symbols they are made of and how many of these are unknown, and what they look like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from seqcli.build.data import encode_split
from seqcli.data.corpus import Split
from seqcli.data.encoded import EncodedCorpus, EncodingReport
from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import SeqcliError
from seqcli.evaluation.attention import picture_of
from seqcli.figures.inline import image_address
from seqcli.report.elements import Html, heading, joined, number, paragraph, quoted, table, text
from seqcli.run import DATA, Run
from seqcli.symbols import SPECIAL, Example

EXAMPLES = 3
SHOWN_SYMBOLS = 40
THUMBNAIL = 160
"""Pixels of the longer side."""


@dataclass(frozen=True)
class SplitCard:
    """One split: its report, and the lengths of its sources and targets, (N,), in symbols without EOS."""

    report: EncodingReport
    source_lengths: NDArray[np.int32]
    target_lengths: NDArray[np.int32]


@dataclass(frozen=True)
class DataCard:
    """The splits that can be read here, what is wrong with those that cannot, the first training examples, and what the run itself recorded
    of its data."""

    splits: dict[str, SplitCard]
    missing: dict[str, str]
    examples: list[Example]
    recorded: dict[str, Any]


def read_card(run: Run) -> DataCard:
    """The card of a run's data, encoded with its own tokenizers, or found in the cache."""
    splits: dict[str, SplitCard] = {}
    missing: dict[str, str] = {}
    examples: list[Example] = []
    for split in get_args(Split):
        try:
            corpus = encode_split(run.recipe, split, run.translator.source_tokenizer, run.translator.target_tokenizer)
        except SeqcliError as error:
            missing[split] = str(error)
            continue
        if corpus is not None:
            splits[split] = _split_card(corpus)
            if split == "train":
                examples = [corpus.example(row) for row in range(min(EXAMPLES, len(corpus)))]
    return DataCard(splits, missing, examples, _recorded(run))


def _split_card(corpus: EncodedCorpus) -> SplitCard:
    return SplitCard(corpus.report, corpus.source_lengths - 1, corpus.target_lengths - 1)


def _recorded(run: Run) -> dict[str, Any]:
    """What `data.json` has; nothing where an earlier version wrote none."""
    try:
        found: dict[str, Any] = json.loads((run.folder / DATA).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def show_card(card: DataCard, run: Run) -> Html:
    """The card as a part of the page."""
    parts = [_splits_table(card, run), _vocabularies(run)]
    for split, why in card.missing.items():
        recorded = card.recorded.get(split, {}).get("examples")
        known = f" The run recorded {recorded:,} examples of it." if recorded else ""
        parts.append(paragraph(text(f"The {split} split cannot be read here: {why}.{known}"), "note"))
    if card.examples:
        parts += [heading("the first training examples"), *(_example(example, run) for example in card.examples)]
    return joined(parts)


def _splits_table(card: DataCard, run: Run) -> Html:
    names = list(card.splits)
    rows = [[text(label), *(cells)] for label, *cells in _split_rows(card, run)]
    return table(["", *names], rows) if names else Html("")


def _split_rows(card: DataCard, run: Run) -> Iterator[list[Any]]:
    cards = card.splits.values()
    yield ["examples", *(_count(each.report.examples) for each in cards)]
    yield ["left out, a side being empty", *(_count(each.report.empty) for each in cards)]
    yield ["left out, too long", *(_count(each.report.too_long) for each in cards)]
    if run.reads_images:
        yield ["left out, image unreadable", *(_count(each.report.corrupt) for each in cards)]
    for side in ("source", "target"):
        lengths = [each.source_lengths if side == "source" else each.target_lengths for each in cards]
        if side == "source" and not run.reads_texts:
            continue
        yield [f"{side} length, mean", *(number(float(each.mean()), f"{each.mean():.1f}") for each in lengths)]
        yield [f"{side} length, median", *(number(float(np.median(each)), f"{np.median(each):g}") for each in lengths)]
        yield [
            f"{side} length, 95 % up to",
            *(_count(int(np.percentile(each, 95, method="higher"))) for each in lengths),
        ]
        yield [f"{side} length, longest", *(_count(int(each.max())) for each in lengths)]
        shares = [each.report.source_unknown if side == "source" else each.report.target_unknown for each in cards]
        yield [f"unknown in {side}", *(number(share, f"{100 * share:.2f} %") for share in shares)]


def _count(count: int) -> Html:
    return number(count, f"{count:,}")


def _vocabularies(run: Run) -> Html:
    sides: dict[str, Tokenizer] = {"source": run.translator.source_tokenizer, "target": run.translator.target_tokenizer}
    rows = []
    for name, tokenizer in sides.items():
        if name == "source" and not run.reads_texts:
            continue
        ids = range(len(SPECIAL), min(len(SPECIAL) + SHOWN_SYMBOLS, tokenizer.size))
        symbols = joined([Html(f"<code>{quoted(each)}</code>") for each in tokenizer.tokens(ids)], " ")
        more = "" if tokenizer.size <= len(SPECIAL) + SHOWN_SYMBOLS else " …"
        rows.append([text(name), text(tokenizer.kind), _count(tokenizer.size), Html(f"{symbols}{more}")])
    return joined(
        [heading("vocabulary"), table(["side", "kind", "symbols", "the first of them"], rows, left=4, kind="wide")]
    )


def _example(example: Example, run: Run) -> Html:
    picture = picture_of(run.translator, example)
    rows = [] if picture is None else [[text("image"), image(image_address(picture, THUMBNAIL))]]
    tokenizers = run.translator.source_tokenizer, run.translator.target_tokenizer
    for name, content, tokenizer in zip(
        ("source", "target"), (example.source, example.target or ""), tokenizers, strict=True
    ):
        if name == "source" and not run.reads_texts:
            continue
        tags = example.features if name == "source" else ()
        symbols = tokenizer.tokens(tokenizer.encode(content, tags))
        rows.append([text(name), joined([quoted(content), Html("<br>"), _symbols(symbols)])])
    return table([example.origin, ""], rows, left=2, kind="texts")


def _symbols(symbols: list[str]) -> Html:
    return Html(f'<span class="faint">{quoted(" ".join(symbols))}</span>')


def image(address: str) -> Html:
    """An image that the page carries."""
    return Html(f'<img alt="what the model sees" src="{address}">')
