"""The device's part of a search: which symbols may follow each row, and which of them are best."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqcli.search.constraints import wanted
from seqcli.search.hypotheses import IMPOSSIBLE, Hypothesis, Sentence
from seqcli.search.repetition import penalised
from seqcli.search.restrictions import Restricting, Restrictions, as_pairs
from seqcli.search.sampling import Dice, Sampling, as_keys
from seqcli.symbols import PAD

BLOCK = 64
"""So many symbols stand for the best of them, where there are many. Measured: over 8,000 symbols three times as fast as `topk` alone."""


class Ranking:
    """Ranks the symbols of each row of a step: the `count` best, or, with `sampling`, one that is drawn.

    What it needs of the hypotheses is brought to the device by `prepare`, before the step, so that nothing waits for the step but its result.
    Options that are not used cost nothing.
    """

    def __init__(
        self,
        sentences: Sequence[Sentence],
        count: int,
        banned: Sequence[int],
        *,
        repetition_penalty: float,
        no_repeat_ngram: int,
        sampling: Sampling | None,
        device: torch.device,
    ) -> None:
        self._count = count
        self._banned = torch.tensor(banned, dtype=torch.long, device=device)
        self._repetition_penalty = repetition_penalty
        self._no_repeat_ngram = no_repeat_ngram
        self._sampling = sampling
        self._device = device
        self._restricted = no_repeat_ngram > 0 or any(one.demands.restrict for one in sentences)
        self._constrained = any(one.demands.constraints for one in sentences)
        self._dice: list[Dice] = []
        if sampling is not None:
            self._dice = [
                Dice(
                    sampling.seed if one.demands.seed is None else one.demands.seed, one.demands.source, len(one.beams)
                )
                for one in sentences
            ]
        self._plain = bool(banned) and not (
            self._restricted or self._constrained or repetition_penalty != 1.0 or sampling is not None
        )
        self._written: tuple[Tensor, Tensor] | None = None
        self._restricting: Restricting | None = None
        self._wanted: Tensor | None = None
        self._keys: Tensor | None = None

    def prepare(
        self, hypotheses: Sequence[Hypothesis | None], live: Sequence[Sentence], width: int, length: int
    ) -> None:
        """Take in the N hypotheses, `width` rows a live sentence, that the step extends to `length` symbols."""
        if self._repetition_penalty != 1.0:
            pairs = [(row, symbol) for row, one in enumerate(hypotheses) if one is not None for symbol in set(one.ids)]
            self._written = as_pairs(pairs, self._device)
        if self._restricted:
            restrictions = Restrictions(self._no_repeat_ngram)
            for row, one in enumerate(hypotheses):
                sentence = live[row // width]
                if one is not None:
                    restrictions.add(row, one, sentence.demands, sentence.max_length)
            self._restricting = restrictions.on(self._device)
        if self._constrained:
            every = [
                [] if one is None else sorted(wanted(live[row // width].demands.constraints, one.progress))
                for row, one in enumerate(hypotheses)
            ]
            most = max(map(len, every))
            self._wanted = torch.tensor(
                [[*row, *[PAD] * (most - len(row))] for row in every], dtype=torch.long, device=self._device
            )
        if self._sampling is not None:
            keys = [key for sentence in live for key in self._dice[sentence.index].keys(length)]
            self._keys = as_keys(keys, self._device)

    def __call__(self, scores: Tensor) -> tuple[list[Tensor], Tensor]:
        """Raw scores (N,V), which are overwritten → what each symbol adds to what is ordered by, and, where that is another, to the
        log-probability; and the symbols; (N,C) each, best first."""
        if self._plain:
            return self._best_of_all(scores)
        normalizers = _log_sum(scores)
        ranked, rank_normalizers = scores, normalizers
        if self._written is not None:
            ranked = penalised(scores, *self._written, self._repetition_penalty)
            rank_normalizers = _log_sum(ranked)
        ranked.index_fill_(1, self._banned, IMPOSSIBLE)
        if self._restricting is not None:
            self._restricting.apply(ranked)
        if self._sampling is None or self._keys is None:
            best, symbols = best_symbols(ranked, self._count)
        else:
            symbols = self._sampling.draw(ranked, self._keys)
            best = ranked.gather(1, symbols)
        if self._wanted is not None:
            best, symbols = _with_wanted(ranked, best, symbols, self._wanted)
        added = [best - rank_normalizers]
        if self._written is not None:
            added.append(scores.gather(1, symbols) - normalizers)
        return added, symbols

    def _best_of_all(self, scores: Tensor) -> tuple[list[Tensor], Tensor]:
        """The same where nothing is asked for but the best: in fewer passes over the scores, none of which needs memory of its own."""
        # what is banned is a part of the sum
        banned = scores.index_select(1, self._banned)
        scores.index_fill_(1, self._banned, IMPOSSIBLE)
        best, symbols = best_symbols(scores, self._count)
        scores.index_copy_(1, self._banned, banned)
        highest = torch.maximum(best[:, :1], banned.amax(dim=1, keepdim=True))
        highest = highest.clamp(min=torch.finfo(scores.dtype).min)
        sums = scores.sub_(highest).exp_().sum(dim=1, keepdim=True)
        return [best - (sums.log() + highest).clamp(min=torch.finfo(scores.dtype).min)], symbols


def _log_sum(scores: Tensor) -> Tensor:
    """log Σ exp of each row, (N,1); of a row without anything possible the least number there is, so that it stays impossible."""
    return scores.logsumexp(dim=1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)


def _with_wanted(ranked: Tensor, best: Tensor, symbols: Tensor, more: Tensor) -> tuple[Tensor, Tensor]:
    """The best symbols of each row, (N,C) each, and behind them those that go on with its constraints, `more` (N,E), PAD where there are
    no more; -inf where they are there already."""
    there = (more[:, :, None] == symbols[:, None, :]).any(dim=2) | (more == PAD)
    others = ranked.gather(1, more).masked_fill(there, IMPOSSIBLE)
    return torch.cat((best, others), dim=1), torch.cat((symbols, more), dim=1)


def best_symbols(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Scores (N,V) → the `count` best of each row, or all there are, best first, and their symbols, (N,count) each.

    The best `count` symbols lie in the `count` blocks whose maxima are best, so only these are looked through: exact, but for the order of
    symbols with one score.
    """
    rows, vocabulary = scores.shape
    count, whole = min(count, vocabulary), vocabulary // BLOCK
    if whole < 4 * count:
        best, symbols = scores.topk(count, dim=1)
        return best, symbols
    blocks = scores[:, : whole * BLOCK].reshape(rows, whole, BLOCK)
    chosen = blocks.amax(dim=2).topk(count, dim=1).indices[:, :, None]
    among = blocks.gather(1, chosen.expand(-1, -1, BLOCK)).flatten(1)
    places = (chosen * BLOCK + torch.arange(BLOCK, device=scores.device)).flatten(1)
    if whole * BLOCK < vocabulary:
        rest = torch.arange(whole * BLOCK, vocabulary, device=scores.device)
        among = torch.cat((among, scores[:, whole * BLOCK :]), dim=1)
        places = torch.cat((places, rest.expand(rows, -1)), dim=1)
    best, order = among.topk(count, dim=1)
    return best, places.gather(1, order)


def on_host(numbers: list[Tensor], symbols: Tensor) -> tuple[list[Tensor], Tensor]:
    """Float tensors (N, some) and symbols (N,C) on the host, fetched from the device in one piece."""
    if symbols.device.type == "cpu":
        return numbers, symbols
    columns = [part.float().contiguous().view(torch.int32) for part in numbers]
    fetched = torch.cat([*columns, symbols.int()], dim=1).cpu()
    *parts, ids = torch.split(fetched, [part.shape[1] for part in (*numbers, symbols)], dim=1)
    return [part.contiguous().view(torch.float32) for part in parts], ids.long()
