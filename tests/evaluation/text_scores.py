"""The metrics of texts from two columns of them: counted, and summed up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seqcli.evaluation.counting import count
from seqcli.evaluation.metrics import INTERVAL_SEED
from seqcli.types import Metric


def text_metrics(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    bleu_tokenize: str = "13a",
    split: Callable[[str], list[str]] = str.split,
    one_word: bool = False,
    intervals: int = 0,
    seed: int = INTERVAL_SEED,
) -> dict[str, Metric]:
    """Each metric called in `names`, with its interval where there are resamples to draw."""
    counted = count(names, hypotheses, references, bleu_tokenize=bleu_tokenize, split=split, one_word=one_word)
    return {name: counts.metric(intervals, seed) for name, counts in counted.items()}
