"""A `step` for search that reads a table: what comes next after each prefix, sentence by sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from torch import Tensor

from seqcli.symbols import BOS
from seqcli.types import State

Prefix = tuple[int, ...]
Next = Callable[[int, Prefix], list[float]]


@dataclass
class Table:
    """`following(sentence, prefix)` gives the log-probability of each symbol; `asked` keeps the prefixes of every step."""

    following: Next
    asked: list[list[tuple[int, Prefix]]] = field(default_factory=list)

    def start(self, sentences: int) -> State:
        """The sentence's number as memory, the symbols read so far as cache."""
        return State({"sentence": torch.arange(sentences)}, {"prefix": torch.empty(sentences, 0, dtype=torch.long)})

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """As a model's."""
        prefixes = torch.cat((state.cache["prefix"], ids[:, None]), dim=1)
        read = [tuple(row) for row in prefixes.tolist()]
        assert all(row[0] == BOS for row in read)
        sentences = state.memory["sentence"]
        sentences = sentences.repeat_interleave(len(read) // max(len(sentences), 1))
        self.asked.append([(int(sentence), row[1:]) for sentence, row in zip(sentences, read, strict=True)])
        log_probs = torch.tensor([self.following(*asked) for asked in self.asked[-1]])
        return log_probs, replace(state, cache={"prefix": prefixes}, position=state.position + 1)


def from_probabilities(symbols: Mapping[str, int], rows: Mapping[str, Mapping[str, float]]) -> Next:
    """A table written by hand: prefix as a word of letters → letter → probability; what is not written is impossible.

    After a prefix that is impossible everything is certain, to tempt the search.
    """
    letters = {number: letter for letter, number in symbols.items()}

    def following(_sentence: int, prefix: Prefix) -> list[float]:
        word = "".join(letters.get(symbol, "?") for symbol in prefix)
        if word not in rows:
            return [0.0] * (max(symbols.values()) + 1)
        log_probs = [-math.inf] * (max(symbols.values()) + 1)
        for letter, probability in rows[word].items():
            log_probs[symbols[letter]] = math.log(probability)
        return log_probs

    return following


def random_table(seed: int, vocabulary: int) -> Next:
    """A distribution drawn anew for each prefix, the same each time it is asked for."""

    @cache
    def following(sentence: int, prefix: Prefix) -> list[float]:
        number = seed
        for symbol in (sentence, *prefix):
            number = (number * 31 + symbol + 1) % 2**31
        scores = 2 * torch.randn(vocabulary, generator=torch.Generator().manual_seed(number))
        row: list[float] = scores.log_softmax(dim=0).tolist()
        return row

    return following
