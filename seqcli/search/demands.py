"""What one sentence asks of its hypotheses, in symbols; sentences side by side may ask for different things."""

from __future__ import annotations

from dataclasses import dataclass

Phrase = tuple[int, ...]


@dataclass(frozen=True)
class Demands:
    """Every hypothesis begins with `prefix`, holds each of the phrases `constraints`, holds none of the phrases `avoid`, and has at least
    `min_length` symbols, EOS counted.

    `source` names the sentence for sampling, which draws from `seed`, or, if it is None, from the seed that all share.
    """

    prefix: Phrase = ()
    constraints: tuple[Phrase, ...] = ()
    avoid: tuple[Phrase, ...] = ()
    min_length: int = 0
    source: Phrase = ()
    seed: int | None = None

    def shortest(self) -> int:
        """How many symbols hold the prefix, the constraints and EOS, if none overlap."""
        return len(self.prefix) + sum(map(len, self.constraints)) + 1

    @property
    def restrict(self) -> bool:
        """Whether anything is asked of the symbols."""
        return bool(self.prefix or self.constraints or self.avoid or self.min_length > 1)
