"""How likely a model finds given targets: teacher forcing gives each symbol the probability that a search would have seen.

    log p(y | x) = Σ_t log p(y_t | y_<t, x)

Symbols that a search never writes (the unknown one, unless it is allowed) keep their probability here, and nothing is made up to 1 again
without them; so a target's score is what a search reports that writes the same symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seqcli.errors import SeqcliError
from seqcli.evaluation.attention import traced_pass
from seqcli.evaluation.evaluate import pair_batches
from seqcli.evaluation.reader import SearchSettings, Told, nobody
from seqcli.evaluation.translator import Translator
from seqcli.search.penalties import uncovered
from seqcli.symbols import EOS, PAD, Example


@dataclass(frozen=True)
class PairScore:
    """How likely a target is: `log_prob` is the sum over its symbols (nats), `score` the same normalised as in search, for its length and with
    a coverage penalty.

    `ids` are the symbols, EOS last where the target ends, and `log_probs` what each of them adds. `cut` says that there were more symbols than
    the model can write, whose rest has no score.
    """

    score: float
    log_prob: float
    ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    cut: bool = False


def score_pairs(
    translator: Translator,
    examples: Sequence[Example],
    settings: SearchSettings,
    *,
    ended: bool = True,
    told: Told = nobody,
) -> list[PairScore | None]:
    """The score of each example's target, in the order given; None where there is nothing to read or to see.

    A target counts as a whole one, its end too; if not `ended`, as a beginning, as a search leaves a hypothesis that has become too long. One
    without symbols then has the probability 1.
    """
    sources = [translator.encode(example) for example in examples]
    rows = [row for row, example in enumerate(examples) if not translator.blank(example, sources[row])]
    encode, end = translator.target_tokenizer.encode, [EOS] if ended else []
    targets = {row: [*encode(examples[row].target or ""), *end] for row in rows}
    kept = {row: tuple(ids[: translator.longest_target]) for row, ids in targets.items()}
    asked = [row for row, ids in kept.items() if ids]
    given = [examples[row] for row in asked], [kept[row] for row in asked], [sources[row] for row in asked]
    log_probs = dict.fromkeys(rows, ()) | dict(zip(asked, label_log_probs(translator, *given, told), strict=True))
    penalties = dict.fromkeys(rows, 0.0)
    if settings.coverage_penalty > 0.0:
        penalties |= dict(zip(asked, uncovered_sources(translator, *given), strict=True))
    found: list[PairScore | None] = [None] * len(examples)
    for row, ids in kept.items():
        total = math.fsum(log_probs[row])
        score = settings.scoring.score(total, max(len(ids), 1)) + settings.coverage_penalty * penalties[row]
        found[row] = PairScore(score, total, ids, log_probs[row], cut=len(ids) < len(targets[row]))
    return found


def label_log_probs(
    translator: Translator,
    examples: Sequence[Example],
    targets: Sequence[Sequence[int]],
    sources: Sequence[Sequence[int]] | None = None,
    told: Told = nobody,
) -> list[tuple[float, ...]]:
    """The log-probability (nats) of each symbol of each target, given as ids: at least one, and no more than the model can write.

    `sources` are the ids of the sources, where they are encoded already. `told` gets how many of the targets' symbols are done, and how many
    there are.
    """
    found: list[tuple[float, ...]] = [()] * len(targets)
    done, total = 0, sum(map(len, targets))
    translator.model.eval()
    with torch.inference_mode():
        for batch in pair_batches(translator, examples, targets, sources):
            scores = translator.predictor.logits(batch).float()
            log_probs = scores.gather(2, batch.labels[..., None]).squeeze(2) - scores.logsumexp(dim=2)
            for row, whole in zip(batch.index.tolist(), log_probs.tolist(), strict=True):
                found[row] = tuple(whole[: len(targets[row])])
                done += len(targets[row])
            told(done, total)
    return found


def uncovered_sources(
    translator: Translator,
    examples: Sequence[Example],
    targets: Sequence[Sequence[int]],
    sources: Sequence[Sequence[int]] | None = None,
) -> list[float]:
    """How little of each source was looked at while its target, given as ids, was written: what a coverage penalty multiplies (see
    `search.penalties.Coverage`). `SeqcliError` for a model without attention, and for an ensemble, which has none of its own."""
    if len(translator.members) > 1:
        raise SeqcliError(
            "a coverage penalty needs attention, and an ensemble has none of its own; leave coverage_penalty out"
        )
    found = [0.0] * len(targets)
    for batch in pair_batches(translator, examples, targets, sources):
        weights = traced_pass(translator, batch).cross[-1].mean(dim=1)
        with torch.inference_mode():
            seen = translator.predictor.start(batch).memory["mask"]
        # an ended target looks no more, and what is padding needs no look
        sums = (weights * (batch.labels != PAD)[..., None]).sum(dim=1).masked_fill(~seen, 1.0)
        for row, penalty in zip(batch.index.tolist(), uncovered(sums).tolist(), strict=True):
            found[row] = penalty
    return found
