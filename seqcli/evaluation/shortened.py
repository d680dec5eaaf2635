"""A search that knows symbols by their places on a short list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from seqcli.errors import RecipeError
from seqcli.models.copying import Copying
from seqcli.models.ensemble import Ensemble, Predictor
from seqcli.models.seq2seq import Seq2Seq
from seqcli.models.shortlisted import Shortlisted
from seqcli.nn.output import NamedAlready
from seqcli.search.demands import Demands
from seqcli.search.shortlist import Shortlist
from seqcli.types import Batch, Hypotheses


@dataclass(frozen=True)
class Shortened:
    """What is searched with instead of a predictor, and what its symbols are; `columns (U,)` are the symbols of the list, special ones first, so
    that these keep their numbers."""

    predictor: Predictor
    columns: Tensor

    @cached_property
    def _places(self) -> dict[int, int]:
        return {symbol: place for place, symbol in enumerate(self.columns.tolist())}

    def asked(self, demands: Demands) -> Demands:
        """Demands by places; a phrase that is to be avoided needs no avoiding where one of its symbols is not on the list."""
        return replace(
            demands,
            prefix=self._by_place(demands.prefix),
            constraints=tuple(map(self._by_place, demands.constraints)),
            avoid=tuple(self._by_place(phrase) for phrase in demands.avoid if self._places.keys() >= set(phrase)),
        )

    def found(self, hypotheses: Hypotheses) -> Hypotheses:
        """Hypotheses by symbols."""
        return replace(hypotheses, ids=self.columns.to(hypotheses.ids.device)[hypotheses.ids])

    def _by_place(self, symbols: Iterable[int]) -> tuple[int, ...]:
        return tuple(self._places[symbol] for symbol in symbols)


def shortened(predictor: Predictor, shortlist: Shortlist, batch: Batch, demands: Sequence[Demands]) -> Shortened:
    """The predictor, one model or several, over what the sources of a batch can need, and what is demanded."""
    more = [[*one.prefix, *(symbol for phrase in one.constraints for symbol in phrase)] for one in demands]
    columns, impossible = shortlist.candidates(batch.source, batch.source_mask, more)
    members = predictor.models if isinstance(predictor, Ensemble) else (predictor,)
    parts: list[Shortlisted] = []
    for member in members:
        assert isinstance(member, Seq2Seq)
        if isinstance(member, Copying) or isinstance(member.output, NamedAlready):
            # the recipe's own rules know nothing of the other members of an ensemble
            raise RecipeError(
                "search.shortlist: a member of the ensemble copies, or attends by hard_monotonic, which no list can be for; leave shortlist out"
            )
        parts.append(Shortlisted(member, columns, impossible))
    return Shortened(Ensemble(parts) if isinstance(predictor, Ensemble) else parts[0], columns)
