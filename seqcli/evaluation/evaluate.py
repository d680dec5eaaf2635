"""A model against a corpus: what it thinks of the references, and what it writes itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from seqcli import __version__
from seqcli.data.batching import plan_sorted
from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import DataError, RecipeError
from seqcli.evaluation.counting import Counts, count
from seqcli.evaluation.metrics import (
    INTERVAL_SEED,
    POINTING_METRICS,
    TEXT_METRICS,
    GroupScores,
    LengthBucket,
    by_group,
    by_length,
)
from seqcli.evaluation.pointing import pointing_metrics
from seqcli.evaluation.reader import SearchSettings, Told, nobody
from seqcli.evaluation.translator import Translator
from seqcli.models.ensemble import Predictor
from seqcli.nn.loss import perplexity
from seqcli.symbols import PAD, Example
from seqcli.types import Batch, Metric

MODEL_METRICS = ("loss", "perplexity", "token_accuracy")
MODEL_BATCH_TOKENS = 4096
MODEL_BATCH_IMAGES = 64
LENGTH_EDGES = (5, 10, 15, 20, 30, 40, 60, 100)


@dataclass(frozen=True)
class Evaluation:
    """What a model made of a corpus: its metrics by name, and the examples with the hypothesis for each.

    `lengths` are the same text metrics for short and long sources apart, and `groups` those for each group of examples, where they
    were asked for. `counts` is what the text metrics counted, a row an example, and `references` what they were scored against.
    """

    metrics: dict[str, Metric]
    examples: list[Example]
    hypotheses: list[str]
    lengths: list[LengthBucket]
    groups: list[GroupScores]
    counts: dict[str, Counts]
    references: list[list[str]]


def evaluate(
    translator: Translator,
    examples: Sequence[Example],
    names: Sequence[str],
    settings: SearchSettings,
    *,
    bleu_tokenize: str = "13a",
    intervals: int = 0,
    seed: int = INTERVAL_SEED,
    lengths: bool = False,
    groups: bool = False,
    told: Told = nobody,
) -> Evaluation:
    """The metrics called `names`, in that order; hypotheses are searched for only if one of them needs text.

    A hypothesis is scored against all references of its example, or against the target where there are none. They are put into
    the form that hypotheses are in (the target's case and Unicode form) before text is compared. `intervals` is the number of bootstrap
    resamples behind each interval, drawn from `seed`, 0 for none; `lengths` and `groups` also break the scores down. DataError where
    groups are asked for and no example has one. `told` hears how far the search is.
    """
    if groups and not any(example.group for example in examples):
        raise DataError("no scores by group: the data names no group (a type of question, say) for any example")
    wanted = [name for name in names if name in TEXT_METRICS]
    hypotheses: list[str] = []
    references = [references_of(example, translator.target_tokenizer) for example in examples]
    buckets: list[LengthBucket] = []
    found_groups: list[GroupScores] = []
    metrics: dict[str, Metric] = {}
    counts: dict[str, Counts] = {}
    if wanted:
        tokenizer = translator.target_tokenizer
        hypotheses = [found[0].text if found else "" for found in translator.translate(examples, settings, told)]
        split, one_word = tokenizer.split, tokenizer.kind == "symbols"
        counts = count(wanted, hypotheses, references, bleu_tokenize=bleu_tokenize, split=split, one_word=one_word)
        metrics |= {name: counted.metric(intervals, seed) for name, counted in counts.items()}
        if lengths:
            symbols = [len(translator.encode(example)) - 1 for example in examples]
            buckets = by_length(counts, symbols, LENGTH_EDGES)
        if groups:
            found_groups = by_group(counts, [example.group for example in examples])
    pointing = [name for name in names if name in POINTING_METRICS]
    if pointing and len(translator.members) > 1:
        raise RecipeError(f"{', '.join(pointing)}: an ensemble has no attention of its own; score one of its runs")
    if pointing:
        metrics |= pointing_metrics(translator, examples, pointing, intervals=intervals)
    if set(names) - set(wanted) - set(pointing):
        translator.model.eval()
        metrics |= model_metrics(translator.predictor, reference_batches(translator, examples))
    named = {name: metrics[name] for name in names}
    return Evaluation(named, list(examples), hypotheses, buckets, found_groups, counts, references)


def references_of(example: Example, tokenizer: Tokenizer) -> list[str]:
    """The texts that would be right for an example, in the form that the target was learnt in, composed if that is decomposed: as what a model
    writes is read."""
    return [tokenizer.normalizer.readable(text) for text in example.references or (example.target or "",)]


def model_metrics(model: Predictor, batches: Iterable[Batch]) -> dict[str, Metric]:
    """Loss (mean nats a target symbol, EOS counted), perplexity and token accuracy (0–100), under teacher forcing.

    The references are given, one symbol after the other, and what counts is the probability of the next; so these figures
    depend on the tokenizer and cannot be compared across vocabularies.
    """
    total, right, tokens = 0.0, 0, 0
    with torch.inference_mode():
        for batch in batches:
            labels = batch.labels
            real = labels != PAD
            log_probs = model.logits(batch)[real].log_softmax(dim=-1)
            answers = labels[real]
            total -= float(log_probs.gather(1, answers[:, None]).sum(dtype=torch.float64))
            right += int((log_probs.argmax(dim=-1) == answers).sum())
            tokens += len(answers)
    mean = total / tokens
    signature = f"teacher-forcing|n:{tokens}|unit:symbol|version:seqcli-{__version__}"
    values = {"loss": mean, "perplexity": perplexity(mean), "token_accuracy": 100.0 * right / tokens}
    return {name: Metric(value, signature) for name, value in values.items()}


def reference_batches(translator: Translator, examples: Sequence[Example]) -> Iterator[Batch]:
    """Sources with their references, sorted by length, for `model_metrics`."""
    return pair_batches(translator, examples, [translator.encode_target(example.target or "") for example in examples])


def pair_batches(
    translator: Translator,
    examples: Sequence[Example],
    targets: Sequence[Sequence[int]],
    sources: Sequence[Sequence[int]] | None = None,
) -> Iterator[Batch]:
    """Sources with the ids of their targets, those that are alike in length together; `index` says which they are. `sources` are the ids of
    the sources, where they are encoded already."""
    sources = sources or [translator.encode(example) for example in examples]
    lengths = [np.array([len(ids) for ids in side], dtype=np.int32) for side in (sources, targets)]
    most = None if translator.image_reader is None else MODEL_BATCH_IMAGES
    for rows in plan_sorted(*lengths, batch_tokens=MODEL_BATCH_TOKENS, batch_sentences=most):
        batch = translator.batch(
            [examples[row] for row in rows], [targets[row] for row in rows], sources=[sources[row] for row in rows]
        )
        yield replace(batch, index=torch.from_numpy(rows))
