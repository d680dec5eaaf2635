"""What is wished of a translation, as text, and what that asks of the search, as symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import SeqcliError
from seqcli.search.demands import Demands, Phrase
from seqcli.symbols import UNK


@dataclass(frozen=True)
class Wishes:
    """What one translation, or every one, is to be like: what it begins with, phrases that it holds, phrases that it does not hold, and how many
    symbols it has at least and at most, EOS counted. `seed` is what sampling draws from. None is what the search has for all."""

    prefix: str | None = None
    constraints: tuple[str, ...] | None = None
    avoid: tuple[str, ...] | None = None
    min_length: int | None = None
    max_length: int | None = None
    seed: int | None = None

    def or_else(self, usual: Wishes) -> Wishes:
        """These wishes, and the usual ones for what they leave open."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return Wishes(**{name: getattr(usual, name) if value is None else value for name, value in own.items()})


@dataclass(frozen=True)
class Asked:
    """Wishes as the search takes them: what is asked of the symbols, and how many there may be."""

    demands: Demands
    max_length: int


def asked(
    wishes: Wishes, tokenizer: Tokenizer, *, max_length: int, unknown: bool, origin: str, error: type[SeqcliError]
) -> Asked:
    """The wishes in the target's symbols; `max_length` holds where they name no other, and in any case.

    Raises `error`, naming the `origin`, for what cannot be written, and for wishes that contradict each other.
    """
    longest = min(wishes.max_length or max_length, max_length)
    prefix = _phrase(wishes.prefix or "", tokenizer, unknown, f"{origin}: the prefix", error) if wishes.prefix else ()
    constraints = tuple(
        dict.fromkeys(
            _phrase(text, tokenizer, unknown, f"{origin}: the constraint", error) for text in wishes.constraints or ()
        )
    )
    never = [(text, tuple(tokenizer.encode(text))) for text in wishes.avoid or ()]
    for text, phrase in never:
        if not phrase:
            raise error(f"{origin}: {text!r}, which is to be avoided, is no text")
        for other in (prefix, *constraints):
            if _holds(other, phrase):
                raise error(f"{origin}: {text!r} is to be avoided, but {tokenizer.decode(other)!r} is to be written")
    demands = Demands(
        prefix,
        constraints,
        # what the vocabulary lacks is never written
        tuple(phrase for _, phrase in never if UNK not in phrase),
        wishes.min_length or 0,
        seed=wishes.seed,
    )
    if demands.shortest() > longest and (prefix or constraints):
        raise error(
            f"{origin}: prefix and constraints have {demands.shortest()} symbols, the end counted, but max_length is {longest}"
        )
    if demands.min_length > longest:
        raise error(f"{origin}: min_length is {demands.min_length}, but max_length is {longest}")
    return Asked(demands, longest)


def _phrase(text: str, tokenizer: Tokenizer, unknown: bool, what: str, error: type[SeqcliError]) -> Phrase:
    phrase = tuple(tokenizer.encode(text))
    if not phrase:
        raise error(f"{what} {text!r} is no text")
    if UNK in phrase and not unknown:
        raise error(f"{what} {text!r} has symbols that the target's vocabulary lacks; the model cannot write it")
    return phrase


def _holds(phrase: Sequence[int], part: Sequence[int]) -> bool:
    return any(tuple(phrase[start : start + len(part)]) == tuple(part) for start in range(len(phrase) - len(part) + 1))
