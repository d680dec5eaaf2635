"""Why a model wrote what it wrote: how sure it was of each symbol, what it would have written else, what it looked at, and the beam."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from seqcli.analysis.attention_kinds import joined
from seqcli.errors import SeqcliError
from seqcli.evaluation.attention import covering, reading_order
from seqcli.evaluation.reader import SearchSettings, Translation
from seqcli.evaluation.translator import Translator
from seqcli.models.seq2seq import over_memory
from seqcli.nn.trace import trace_attention
from seqcli.search.penalties import uncovered
from seqcli.search.trace import BeamTrace, Node, path_to, trace_as_json
from seqcli.symbols import Example
from seqcli.types import Batch


@dataclass(frozen=True)
class Alternative:
    """A symbol that might have been written, and its probability."""

    token: str
    probability: float


@dataclass(frozen=True)
class Look:
    """How much of a symbol's attention went to a word of the source, the `place`-th from 0, or to a cell of an image, counted behind them."""

    word: str
    place: int
    weight: float


@dataclass(frozen=True)
class WrittenToken:
    """One symbol of the target: its probability after what stands before it, its `rank` among all symbols (1: the most probable), the
    entropy of the distribution in bits, the most probable symbols, and what the decoder looked at most, in the mean over its last layer's
    heads."""

    token: str
    id: int
    probability: float
    log_prob: float
    rank: int
    entropy: float
    alternatives: tuple[Alternative, ...]
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class Explanation:
    """One source and its target, `given` or the best of the `hypotheses`, symbol by symbol; and the search's `tree`, with the token of each node.

    `best_score` is what the model gives the best hypothesis, counted as the target's own `score` is, where a target is given; the search may order by
    another, where it punishes repetition or scores a short list. `left_beam` is the step, from 1, at which a given target was no longer among the
    hypotheses that the search kept; None where it never was, or none was given.
    """

    source: str
    target: str
    given: bool
    score: float
    log_prob: float
    tokens: tuple[WrittenToken, ...]
    hypotheses: tuple[Translation, ...]
    tree: tuple[Node, ...]
    tree_tokens: tuple[str, ...]
    best_score: float | None
    left_beam: int | None
    has_attention: bool

    @property
    def verdict(self) -> str | None:
        """Of a given target: whether the search missed it, or the model likes another one better (Stahlberg and Byrne 2019, "On NMT Search
        Errors and Model Errors")."""
        if self.best_score is None:
            return None
        if tuple(token.id for token in self.tokens) == self.hypotheses[0].ids:
            return "the search finds it: it is the best hypothesis"
        left = "" if self.left_beam is None else f"; the beam lost it at step {self.left_beam}"
        if self.score > self.best_score:
            return f"a search error: the model gives it {self.score:.4f}, more than the {self.best_score:.4f} of what was found{left}"
        return f"no search error: the model gives it {self.score:.4f}, less than the {self.best_score:.4f} of what was found{left}"

    def as_json(self) -> dict[str, object]:
        """All of it for a programme."""
        return {
            "source": self.source,
            "target": self.target,
            "given": self.given,
            "score": self.score,
            "log_prob": self.log_prob,
            "best_score": self.best_score,
            "verdict": self.verdict,
            "left_beam": self.left_beam,
            "tokens": [asdict(token) for token in self.tokens],
            "hypotheses": [asdict(one) for one in self.hypotheses],
            "beam": trace_as_json(self.tree, self.tree_tokens),
        }


def explain(
    translator: Translator, example: Example, settings: SearchSettings, *, alternatives: int = 5, looks: int = 3
) -> Explanation:
    """Explain the example's target, or, where it has none, the best hypothesis that a search finds.

    The target goes through the model once more, all at once, which gives the probabilities that the search saw. Raises `SeqcliError` where
    there is nothing to read or to write.
    """
    source = translator.encode(example)
    if len(source) < 2 and example.image is None:
        raise SeqcliError(f"there is nothing to explain: the source {example.source or example.origin!r} is empty")
    trace = BeamTrace()
    found = next(
        translator.spell(translator.search(translator.batch([example], sources=[source]), settings, trace=trace))
    )
    found = translator.with_copies(found, example.source, settings)
    given = example.target is not None
    if not given and not found:
        raise SeqcliError(
            f"there is nothing to explain: the search found no target for {example.source or example.origin!r}"
        )
    target = translator.encode_target(example.target or "") if given else list(found[0].ids)
    log_probs, looked = _forced(translator, translator.batch([example], [target], sources=[source]))
    tokens = _tokens(
        translator, target, log_probs, alternatives, _looks(translator, source, looked, looks) or [()] * len(target)
    )
    best_score = None
    if given and found:
        best = list(found[0].ids)
        best_score = _score(best, *_forced(translator, translator.batch([example], [best], sources=[source])), settings)
    nodes = trace.nodes()
    return Explanation(
        example.source or example.origin,
        (example.target or "") if given else found[0].text,
        given,
        _score(target, log_probs, looked, settings),
        sum(token.log_prob for token in tokens),
        tuple(tokens),
        tuple(found),
        tuple(nodes),
        tuple(translator.target_tokenizer.tokens([node.id for node in nodes])),
        best_score,
        _left_beam(nodes, target) if given else None,
        looked is not None,
    )


@dataclass(frozen=True)
class _Looked:
    """The last layer's attention (T,G+S), averaged over its heads, its first columns cells of a `grid`; `mask (G+S,)` says where it may look."""

    weights: Tensor
    mask: Tensor
    grid: tuple[int, int] | None


def _forced(translator: Translator, batch: Batch) -> tuple[Tensor, _Looked | None]:
    """The log-probabilities (T,V) of all symbols at each place of a batch's one target, and what was looked at, if the model has attention."""
    model = translator.model
    model.eval()
    with torch.inference_mode():
        log_probs = model.logits(batch)[0].float().log_softmax(dim=-1).cpu()
        with trace_attention(model) as maps:
            memory = model.encoder(batch)
            model.decoder(batch.inputs, model.begin(batch, memory))
    cross = over_memory(maps)
    if not cross:
        return log_probs, None
    return log_probs, _Looked(cross[-1][0].float().mean(dim=0).cpu(), memory.mask[0].cpu(), memory.grid)


def _score(target: Sequence[int], log_probs: Tensor, looked: _Looked | None, settings: SearchSettings) -> float:
    """What the model gives a target, by its length and by the coverage penalty of what was looked at, where the search has one."""
    log_prob = float(log_probs.gather(1, torch.tensor(target)[:, None]).double().sum())
    score = settings.scoring.score(log_prob, len(target))
    if looked is None or not settings.coverage_penalty:
        return score
    return score + settings.coverage_penalty * float(
        uncovered(looked.weights.sum(dim=0).masked_fill(~looked.mask, 1.0))
    )


def _tokens(
    translator: Translator,
    target: Sequence[int],
    log_probs: Tensor,
    alternatives: int,
    looks: Sequence[tuple[Look, ...]],
) -> list[WrittenToken]:
    """Each symbol of a target by the distribution (V,) that it was written from."""
    ids = torch.tensor(target)
    own = log_probs.gather(1, ids[:, None]).squeeze(1)
    ranks = (log_probs > own[:, None]).sum(dim=1) + 1
    probabilities = log_probs.exp()
    entropy = -(probabilities * log_probs.clamp(min=-1e9)).sum(dim=1) / math.log(2)
    best, others = probabilities.topk(min(alternatives, probabilities.shape[1]), dim=1)
    labels = [translator.target_tokenizer.tokens(row) for row in others.tolist()]
    rows = zip(
        translator.target_tokenizer.tokens(target), target, own.tolist(), ranks.tolist(), entropy.tolist(), labels,
        best.tolist(), looks, strict=True,
    )  # fmt: skip
    return [
        WrittenToken(
            token, i, math.exp(log_prob), log_prob, rank, max(0.0, bits),
            tuple(map(Alternative, names, shares)), seen,
        )
        for token, i, log_prob, rank, bits, names, shares, seen in rows
    ]  # fmt: skip


def _looks(translator: Translator, source: Sequence[int], looked: _Looked | None, most: int) -> list[tuple[Look, ...]]:
    """What each symbol looked at most: words of the source as one reads them, or cells of an image as "row 2, column 3"."""
    if looked is None:
        return []
    cells = 0 if looked.grid is None else looked.grid[0] * looked.grid[1]
    places = reading_order(len(source), looked.weights.shape[1] - cells, translator.reverse_source)
    shown = [source[place] for place in places]
    spans = covering(translator.source_tokenizer.words(shown), len(shown))
    words = joined(translator.source_tokenizer.tokens(shown), spans)
    found = []
    for row in looked.weights:
        text = row[cells:][places]
        looks = [
            Look(word, number, float(text[start:end].sum()))
            for number, (word, (start, end)) in enumerate(zip(words, spans, strict=True))
        ]
        if looked.grid is not None:
            columns = looked.grid[1]
            looks += [
                Look(f"row {cell // columns + 1}, column {cell % columns + 1}", len(spans) + cell, float(weight))
                for cell, weight in enumerate(row[:cells])
            ]
        found.append(tuple(sorted(looks, key=lambda look: -look.weight)[:most]))
    return found


def _left_beam(nodes: Sequence[Node], target: Sequence[int]) -> int | None:
    """The step at which the beam has no node for a prefix of the target, or pruned it."""
    kept = {tuple(one.id for one in path_to(nodes, node.number)) for node in nodes if node.fate != "pruned"}
    return next((step for step in range(1, len(target) + 1) if tuple(target[:step]) not in kept), None)
