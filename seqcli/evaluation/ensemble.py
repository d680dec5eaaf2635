"""Text in, text out by several models at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqcli.data.image_file import read_image
from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.translator import Translator
from seqcli.models.ensemble import Ensemble, Predictor, joint_batch
from seqcli.symbols import Example
from seqcli.types import Batch


class EnsembleTranslator(Translator):
    """The first member's translator, whose search and scores are those of all members together.

    Each member encodes the sources itself, with its own tokenizer and its own size of images; lengths are counted as the first counts them.
    All write the symbols of one vocabulary, which is not checked here. Who looks into the `model` (at its attention, say) sees the first.
    """

    def __init__(self, first: Translator, others: Sequence[Translator]) -> None:
        super().__init__(
            first.model,
            first.source_tokenizer,
            first.target_tokenizer,
            reverse_source=first.reverse_source,
            longest_source=first.longest_source,
            image_reader=first.image_reader,
            fixed=first.fixed,
        )
        self.others = tuple(others)
        limits = [each.longest_target for each in (first, *others) if each.longest_target is not None]
        self.longest_target = min(limits, default=None)
        self._ensemble = Ensemble([each.model.eval() for each in (first, *others)])

    @property
    def predictor(self) -> Predictor:
        """All members together."""
        return self._ensemble

    def search_predictor(self, settings: SearchSettings) -> Predictor:
        """All members together, each as its own search asks it."""
        return Ensemble(
            [super().search_predictor(settings), *(each.search_predictor(settings) for each in self.others)]
        )

    def reduced_predictor(self) -> Predictor:
        """All members together, each with its products in 16 bits."""
        return Ensemble([super().reduced_predictor(), *(each.reduced_predictor() for each in self.others)])

    @property
    def members(self) -> tuple[Translator, ...]:
        """Itself for the first member, and the others."""
        return (self, *self.others)

    def seen(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """As of one translator; but the images stay as they are, since each member makes its own of them."""
        found, complaints = super().seen(examples)
        if self.image_reader is None:
            return found, complaints
        kept = []
        for example, read in zip(examples, found, strict=True):
            refused = None
            for other in self.others if read.image is not None else ():
                assert other.image_reader is not None
                answer = read_image(other.image_reader, (example.image, example.origin))
                refused = refused or (answer if isinstance(answer, str) else None)
            complaints += [refused] if refused else []
            kept.append(replace(example, image=None) if refused or read.image is None else example)
        return kept, complaints

    def batch(
        self,
        examples: Sequence[Example],
        targets: Sequence[Sequence[int]] | None = None,
        *,
        sources: Sequence[Sequence[int]] | None = None,
    ) -> Batch:
        """The examples as the first member reads them, `sources` being their ids, and beside them as the others do."""
        first = super().batch(examples, targets, sources=sources)
        return joint_batch([first, *(other.batch(examples, targets) for other in self.others)])
