"""What a head does, told from its weights: how widely and how far it looks, and whether it is uniform, diagonal or at rest.

The measures are those of Vig & Belinkov 2019, "Analyzing the structure of attention in a Transformer language model" (entropy, mean
distance), of Voita et al. 2019, "Analyzing multi-head self-attention" (confidence, positional heads), and of Clark et al. 2019, "What does
BERT look at?" (broad heads; heads that rest on a symbol which says nothing).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqcli.analysis.attention_kinds import KINDS, AttentionKind, KindName
from seqcli.symbols import BOS, EOS, SPECIAL

Pattern = Literal["uniform", "diagonal", "antidiagonal", "resting", "mixed"]
UNIFORM = 0.95  # of the largest entropy that there is
RESTING = 0.9  # of the weight on one symbol that says nothing
DIAGONAL = 0.9  # of the rows at one offset (Voita et al. 2019, §5.1), or the correlation of row and column
OFFSETS = (0, -1, 1, -2, 2, -3, 3)
DEAD = 0.001  # nats a symbol: perplexity rises by less than a thousandth


@dataclass(frozen=True)
class Head:
    """One head, `layer` and `head` counted from 1, measured over all `rows` that had a choice.

    `entropy` of its rows in nats; `evenness`, the same as a share of the largest that there could be, ln of what a row sees; `distance`, the
    mean distance of what it looks at: in symbols; in cells (Euclidean) over an image; in cross-attention from where the diagonal would be;
    None where cells are looked at from words. `confidence`, the mean of a row's largest weight, the end of the sentence left out.
    `pattern`, with its `detail` in words. `removal` is by how much the loss rises without it, in nats a symbol, where that was measured.
    """

    kind: KindName
    layer: int
    head: int
    rows: int
    entropy: float
    evenness: float
    distance: float | None
    confidence: float
    pattern: Pattern
    detail: str
    removal: float | None = None

    @property
    def dead(self) -> bool:
        """Whether the model is as good without it: perplexity rises by less than 0.1 % (after Michel et al. 2019, §3.2)."""
        return self.removal is not None and self.removal < DEAD

    @property
    def words(self) -> str:
        """What there is to say of it; empty where it does nothing that has a name."""
        said = [self.detail] if self.detail else []
        if self.dead:
            assert self.removal is not None
            said.insert(0, f"dead: perplexity without it {np.expm1(self.removal):+.2%}")
        return "; ".join(said)

    def as_json(self) -> dict[str, Any]:
        """A dictionary of plain numbers and strings."""
        return {
            "kind": self.kind,
            "layer": self.layer,
            "head": self.head,
            "rows": self.rows,
            "entropy": self.entropy,
            "evenness": self.evenness,
            "distance": self.distance,
            "confidence": self.confidence,
            "pattern": self.pattern,
            "removal": self.removal,
            "dead": None if self.removal is None else self.dead,
            "words": self.words,
        }


def measured_heads(samples: Sequence[Sequence[AttentionKind]]) -> list[Head]:
    """Every head of a model, by kind, layer and head, measured over the kinds of attention of one or several sentences.

    Rows that see one column only have no choice, and are left out. ValueError where there is no sample.
    """
    if not samples:
        raise ValueError("there is no attention to measure")
    found: list[Head] = []
    for name in KINDS:
        same = [kind for sample in samples for kind in sample if kind.name == name]
        if same:
            found.extend(_heads(name, [_rows(kind) for kind in same]))
    return found


@dataclass(frozen=True)
class _Rows:
    """The N rows of one kind in one sentence that had a choice: of each head (L,H,N) but for what is of the row alone.

    `place (N)` is where the row is, from 0 to 1, `written (N)` whether it is none that ends the sentence, and `highest` where its largest
    weight is; `steps` is that column's number less the row's, and `there (N,O)` tells which of `OFFSETS` a row could look
    at. `rest (2,L,H,N)` is the weight on BOS and on EOS.
    """

    entropy: NDArray[np.float64]
    evenness: NDArray[np.float64]
    distance: NDArray[np.float64] | None
    confidence: NDArray[np.float64]
    place: NDArray[np.float64]
    written: NDArray[np.bool_]
    highest: NDArray[np.float64]
    steps: NDArray[np.int64]
    there: NDArray[np.bool_]
    rest: NDArray[np.float64]


def entropies(weights: NDArray[Any]) -> NDArray[np.float64]:
    """The entropy of each row of `weights (…,C)`, in nats: (…)."""
    precise = weights.astype(np.float64)
    logs = np.log(precise, out=np.zeros_like(precise), where=precise > 0)
    return np.asarray(-(precise * logs).sum(axis=-1))


def distances(kind: AttentionKind) -> NDArray[np.float64] | None:
    """How far each column is from each row, (R,C): see `Head.distance`; None where there is no such thing."""
    rows, columns = kind.weights.shape[-2:]
    if kind.grid is not None:
        if kind.name != "encoder":
            return None
        down, across = np.divmod(np.arange(rows), kind.grid[1])
        return np.asarray(np.hypot(down[:, None] - down[None, :], across[:, None] - across[None, :]), dtype=np.float64)
    stretch = (columns - 1) / max(rows - 1, 1) if kind.name == "cross" else 1.0
    return np.asarray(np.abs(np.arange(columns)[None, :] - stretch * np.arange(rows)[:, None]))


def _rows(kind: AttentionKind) -> _Rows:
    choice = kind.seen.sum(axis=1) > 1
    weights = kind.weights.astype(np.float64)[:, :, choice]
    rows, columns = kind.weights.shape[-2:]
    own = np.arange(rows)[choice]
    entropy = entropies(weights)
    far = distances(kind)
    shown = np.array([name != SPECIAL[EOS] for name in kind.columns])
    highest = weights.argmax(axis=-1)
    beside = own[:, None] + np.array(OFFSETS)
    # of a grid the cell beside may be one in another row of it
    within = (beside >= 0) & (beside < columns) & ((kind.grid is None) | (np.array(OFFSETS) == 0))
    markers = [np.array([name == SPECIAL[marker] for name in kind.columns]) for marker in (BOS, EOS)]
    return _Rows(
        entropy,
        entropy / np.log(np.maximum(kind.seen[choice].sum(axis=1), 2)),
        None if far is None else (weights * far[choice]).sum(axis=-1),
        (weights * shown).max(axis=-1),
        own / max(rows - 1, 1),
        np.array([name != SPECIAL[EOS] for name in kind.rows])[choice],
        highest / max(columns - 1, 1),
        highest - own,
        within & np.take_along_axis(kind.seen[choice], np.clip(beside, 0, columns - 1), axis=1),
        np.stack([(weights * marker).sum(axis=-1) for marker in markers]),
    )


def _heads(name: KindName, samples: Sequence[_Rows]) -> Iterator[Head]:
    """The heads of one kind, layer by layer."""
    entropy, evenness, confidence, highest, steps = (
        np.concatenate([getattr(one, field) for one in samples], axis=-1)
        for field in ("entropy", "evenness", "confidence", "highest", "steps")
    )
    far = [one.distance for one in samples if one.distance is not None]
    distance = np.concatenate(far, axis=-1) if far else None
    place = np.concatenate([one.place for one in samples])
    there = np.concatenate([one.there for one in samples])
    written = np.concatenate([one.written for one in samples])
    rest = np.concatenate([one.rest for one in samples], axis=-1)
    layers, heads, rows = entropy.shape
    if not rows:
        return
    for layer in range(layers):
        for head in range(heads):
            at = (layer, head)
            even = float(evenness[at].mean())
            resting = rest[:, layer, head].mean(axis=-1)
            if name == "cross":
                # over cells of an image there is no such thing
                diagonal = _along(place, highest[at], written) if far else ""
            else:
                diagonal = _beside(steps[at], there, name)
            pattern, detail = _named(even, resting, diagonal)
            yield Head(
                name,
                layer + 1,
                head + 1,
                rows,
                float(entropy[at].mean()),
                even,
                None if distance is None else float(distance[at].mean()),
                float(confidence[at].mean()),
                pattern,
                detail,
            )


def _named(even: float, resting: NDArray[np.float64], diagonal: str) -> tuple[Pattern, str]:
    """What a head does, and the same in words: the first that holds."""
    if even >= UNIFORM:
        return "uniform", f"uniform: {even:.0%} of the largest entropy"
    most = int(resting.argmax())
    if resting[most] >= RESTING:
        return "resting", f"at rest: {resting[most]:.0%} of its weight on {SPECIAL[(BOS, EOS)[most]]}"
    if not diagonal:
        return "mixed", ""
    return ("antidiagonal" if diagonal.startswith("anti") else "diagonal"), diagonal


def _beside(steps: NDArray[np.int64], there: NDArray[np.bool_], name: KindName) -> str:
    """Of self-attention: whether the highest weight is at one offset, in nine of ten rows that have a symbol there."""
    shares = [
        float((steps[there[:, place]] == offset).mean()) if there[:, place].sum() > 1 else 0.0
        for place, offset in enumerate(OFFSETS)
    ]
    best = int(np.argmax(shares))
    if shares[best] < DIAGONAL:
        return ""
    offset = OFFSETS[best]
    own = "what was just read" if name == "decoder" else "itself"
    where = f"{abs(offset)} {'before' if offset < 0 else 'after'} {own}" if offset else f"at {own}"
    return f"diagonal: {shares[best]:.0%} of the highest weights are {where}"


def _along(place: NDArray[np.float64], highest: NDArray[np.float64], written: NDArray[np.bool_]) -> str:
    """Of cross-attention: whether the highest weight goes along the source with the steps, or against them (Pearson's correlation);
    what the step that ends the sentence looks at is left out."""
    place, highest = place[written], highest[written]
    if len(place) < 3 or place.std() == 0 or highest.std() == 0:
        return ""
    correlation = float(np.corrcoef(place, highest)[0, 1])
    if abs(correlation) < DIAGONAL:
        return ""
    if correlation > 0:
        return f"diagonal: it goes along the source (correlation {correlation:+.2f})"
    return f"antidiagonal: it goes backwards along the source (correlation {correlation:+.2f})"
