"""The nouns that travel between the rooms, each with its shapes.

Letters used in every shape comment of the project:

    B batch · K beam · S source length · T target length · D width · H heads · L layers · V vocabulary
    C channels · h, w height and width of an image · G cells of a grid

A mask is boolean and True means "may be attended to", as in `torch.nn.functional.scaled_dot_product_attention`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from seqcli.symbols import PAD


@dataclass(frozen=True)
class Batch:
    """A rectangle of encoded examples.

    `source (B,S)` ids, each row ending in EOS, then PAD; `source_mask (B,S)`, True on real symbols;
    `target (B,T+1)` ids, BOS … EOS then PAD, or None when there is nothing to learn from; `index (B,)`, the rows' places
    in the corpus. `image` is None, or pixels (N,C,h,w) from -1 to 1, or grids of features (N,rows,columns,D), and `image_of (B,)` says which of
    the N images each row looks at; without it, it is the row's own, N = B. Where the source is an image alone, its rows of ids are EOS alone.
    `read (B,T)` is None, or what the decoder reads in place of the target.
    """

    source: Tensor
    source_mask: Tensor
    target: Tensor | None
    index: Tensor
    image: Tensor | None = None
    image_of: Tensor | None = None
    read: Tensor | None = None

    @property
    def inputs(self) -> Tensor:
        """What the decoder reads, (B,T): the target without its last symbol, if nothing else."""
        return self._known_target()[:, :-1] if self.read is None else self.read

    @property
    def labels(self) -> Tensor:
        """What the decoder should answer, (B,T): the target without BOS; PAD where there is nothing to answer."""
        return self._known_target()[:, 1:]

    @cached_property
    def real_labels(self) -> Tensor:
        """The places of labels that are not padding, (N,), among all B·T.

        How many there are decides the shapes of what follows, so to find them on a GPU is to wait for it; a batch that goes there
        takes along what was found before.
        """
        return real_labels(self.labels)

    @cached_property
    def lengths(self) -> Tensor:
        """How many symbols each row of the source has, (B,), in main memory, where kernels for sequences want it; found before a batch goes
        to a GPU, for the same reason."""
        return self.source_mask.sum(dim=1).cpu()

    @property
    def target_tokens(self) -> int:
        """How many labels are not padding."""
        return len(self.real_labels)

    @property
    def padding(self) -> float:
        """The share of padding among all cells of source and labels."""
        cells = self.source.numel() + self.labels.numel()
        return 1.0 - (int(self.source_mask.sum()) + self.target_tokens) / cells

    def pieces(self, count: int) -> list[Batch]:
        """The rows in `count` parts of nearly one size, or in as many as there are rows."""
        parts = min(count, len(self.index))
        if parts <= 1:
            return [self]
        return [self.select(rows) for rows in torch.arange(len(self.index)).tensor_split(parts)]

    def select(self, rows: Tensor) -> Batch:
        """Only these rows (n,), in this order, with the images that they look at."""
        chosen = {name: None if column is None else column[rows] for name, column in self._columns().items()}
        if self.image is None:
            return Batch(**chosen)  # type: ignore[arg-type]
        if self.image_of is None:
            return Batch(**chosen, image=self.image[rows])  # type: ignore[arg-type]
        kept, image_of = torch.unique(self.image_of[rows], return_inverse=True)
        return Batch(**chosen, image=self.image[kept], image_of=image_of)  # type: ignore[arg-type]

    def _columns(self) -> dict[str, Tensor | None]:
        """What has a row for each example."""
        return {name: getattr(self, name) for name in ("source", "source_mask", "target", "index", "read")}

    def reading(self, inputs: Tensor) -> Batch:
        """The same batch, but the decoder reads `inputs (B,T)`."""
        return self._with(read=inputs)

    def twice(self) -> Batch:
        """All rows, and all rows once more below them."""
        self._known_target()
        doubled = {name: None if one is None else torch.cat((one, one)) for name, one in self._columns().items()}
        if self.image is None:
            return self._as_long_twice(Batch(**doubled))  # type: ignore[arg-type]
        # the images too, since what is dropped of them differs between the two
        image_of = None if self.image_of is None else torch.cat((self.image_of, self.image_of + len(self.image)))
        images = torch.cat((self.image, self.image))
        return self._as_long_twice(Batch(**doubled, image=images, image_of=image_of))  # type: ignore[arg-type]

    def _as_long_twice(self, doubled: Batch) -> Batch:
        vars(doubled)["lengths"] = torch.cat((self.lengths, self.lengths))
        return doubled

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`; its index stays where it is."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """The same batch in memory that a GPU can copy from while everybody goes on."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        names = ("source", "source_mask", "target", "image", "image_of", "read")
        columns = {name: column for name in names if (column := getattr(self, name)) is not None}
        changed = self._with(**{name: change(column) for name, column in columns.items()})
        if self.target is not None:
            vars(changed)["real_labels"] = change(self.real_labels)
        return changed

    def _with(self, **columns: Tensor) -> Batch:
        """Other columns, of the same lengths and with the same labels to answer, which are not looked for again."""
        changed = replace(self, **columns)
        vars(changed)["lengths"] = self.lengths
        if self.target is not None:
            vars(changed)["real_labels"] = self.real_labels
        return changed

    def _known_target(self) -> Tensor:
        if self.target is None:
            raise ValueError("this batch has no target side")
        return self.target


def real_labels(labels: Tensor) -> Tensor:
    """The places of labels that are not padding, (N,), among all of them."""
    return (labels != PAD).flatten().nonzero().squeeze(1)


@dataclass(frozen=True)
class Memory:
    """What an encoder hands to a decoder.

    `states (B,S,D)`, one vector a source position, to be attended to; `mask (B,S)`, no row of it all False;
    `summary (B,L,D)`, what the encoder holds at its end, one row a layer (one row only where the encoder has no layers of
    state); `cell`, the same for an LSTM's cells, else None. `grid` is (rows, columns) where the first rows × columns states are the cells
    of an image, row by row; a text's states follow them.
    """

    states: Tensor
    mask: Tensor
    summary: Tensor
    cell: Tensor | None = None
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class State:
    """Where a decoder stands: constant `memory` (projected keys, values, masks), the `cache` that each step renews, and the `history`
    that each step adds to.

    Every tensor is batch-first, so that what a search does to its rows is written once, here. The memory has a row for each of A sentences,
    the cache one for each of R = A·K hypotheses, those of a sentence side by side: a sentence is kept once, however many hypotheses there
    are to it. `position` counts the target symbols read so far; it is the same for all rows.

    The history, (A,C,K,D), has in the first `position` of its C cells what each step left in each of K slots, a slot a hypothesis. It
    does not move when hypotheses change places: `ancestors (R,P)` have the slot of each of the first P positions of a hypothesis; what came
    after is in its own, and without ancestors all is. Under `torch.inference_mode` a step writes into the cells that are free, so a state
    is used up by the step that it is handed to.
    """

    memory: dict[str, Tensor]
    cache: dict[str, Tensor]
    position: int = 0
    history: dict[str, Tensor] = field(default_factory=dict)
    ancestors: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return next(iter((*self.memory.values(), *self.cache.values()))).device

    def select(self, rows: Tensor, sentences: Tensor) -> State:
        """The hypotheses named by `rows (R',)`, in that order, which are those of the `sentences (A',)`, R'/A' for each; any may be
        dropped or doubled."""
        moved = replace(
            self,
            memory={name: part.index_select(0, sentences) for name, part in self.memory.items()},
            cache={name: part.index_select(0, rows) for name, part in self.cache.items()},
        )
        if not self.history:
            return moved
        known, _, before, _ = next(iter(self.history.values())).shape
        slots, width = self.slots(known, before).index_select(0, rows), len(rows) // max(len(sentences), 1)
        if width == before:
            history = {name: part.index_select(0, sentences) for name, part in self.history.items()}
            return replace(moved, history=history, ancestors=slots)
        # another number of slots: each hypothesis gets one that has all that it comes from
        slots = slots.view(len(sentences), width, self.position).transpose(1, 2)
        history = {name: _cells(part, sentences, slots) for name, part in self.history.items()}
        return replace(moved, history=history, ancestors=None)

    def reorder(self, rows: Tensor) -> State:
        """The hypotheses in the order of `rows (R,)`, each still of its own sentence: neither memory nor history moves."""
        cache = {name: part.index_select(0, rows) for name, part in self.cache.items()}
        if not self.history:
            return replace(self, cache=cache)
        sentences, _, width, _ = next(iter(self.history.values())).shape
        return replace(self, cache=cache, ancestors=self.slots(sentences, width).index_select(0, rows))

    def slots(self, sentences: int, width: int, more: int = 0) -> Tensor:
        """The slot of each position, and of `more` positions to come, of `width` hypotheses for each of `sentences`: (R,position+more)."""
        known = 0 if self.ancestors is None else self.ancestors.shape[1]
        own = torch.arange(width, device=self.device).repeat(sentences)
        own = own[:, None].expand(-1, self.position + more - known)
        return own if self.ancestors is None else torch.cat((self.ancestors, own), dim=1)


def _cells(part: Tensor, sentences: Tensor, slots: Tensor) -> Tensor:
    """What is in the `slots (A',P,K')` of the `sentences (A',)` of a history (A,C,K,D): (A',P,K',D)."""
    capacity, width = part.shape[1:3]
    positions = torch.arange(slots.shape[1], device=slots.device)
    rows = (sentences[:, None, None] * capacity + positions[:, None]) * width + slots
    return part.flatten(0, 2).index_select(0, rows.flatten()).view(*slots.shape, part.shape[-1])


@dataclass(frozen=True)
class Hypotheses:
    """What a search found, best first; on the host, scores and log-probabilities in double precision.

    `ids (B,K,T)`, without BOS, EOS included where it was reached, PAD after it; `lengths (B,K)`, EOS counted;
    `scores (B,K)`, the normalised score that the order follows; `log_probs (B,K)`, the plain sum of log-probabilities.
    A row with fewer than K hypotheses is filled with length 0 and score -inf.
    """

    ids: Tensor
    lengths: Tensor
    scores: Tensor
    log_probs: Tensor


@dataclass(frozen=True)
class Metric:
    """A figure that can be quoted: `value` on its usual scale (percentages on 0–100), the `signature` that says how it was
    computed, and the 95 % bootstrap `interval` where one was asked for."""

    value: float
    signature: str
    interval: tuple[float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """A dictionary of plain numbers and strings."""
        record: dict[str, Any] = {"value": self.value, "signature": self.signature}
        if self.interval is not None:
            record["interval"] = list(self.interval)
        return record


@dataclass(frozen=True)
class Scores:
    """All metrics of one split: name → `Metric`."""

    split: str
    metrics: dict[str, Metric]

    def as_json(self) -> dict[str, Any]:
        """The shape that `seqcli eval --json` prints."""
        return {"split": self.split, "metrics": {name: metric.as_json() for name, metric in self.metrics.items()}}


@dataclass(frozen=True)
class Progress:
    """One record of a training run, as the loop yields it; `metrics.jsonl` keeps all but checkpoints.

    `event` is "train" (averages since the last record; `skipped` steps whose loss was no number are not in them), "validation"
    (with `scores`, and as `samples` some sources, their targets and
    what the model writes), "memory" (from here on batches are cut into `pieces`, because one did not fit), "spike" (the first step of some
    whose `loss` is far above the `usual_loss`), "rewind" (after spikes weights and optimizer went `back_to` a step), or "checkpoint".
    `seconds` is the time since the last record, without validation and checkpoints, and `peak_bytes` the most memory in use so far (see
    `training.memory.peak_bytes`). `gradient_norms` has a length for each part of the model, before clipping, where the recipe asks for it;
    `loss_scale` is what the loss is multiplied by in fp16, `given` the share of symbols that scheduled sampling lets the decoder read as given.
    """

    event: str
    step: int
    epoch: int
    loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    padding: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    samples: tuple[tuple[str, str, str], ...] = ()
    skipped: int | None = None
    loss_scale: float | None = None
    given: float | None = None
    pieces: int | None = None
    spikes: int | None = None
    usual_loss: float | None = None
    back_to: int | None = None
    gradient_norms: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    peak_bytes: int | None = None
