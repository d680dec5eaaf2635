"""Text in, text out: a model, its two tokenizers and a search."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from numpy.typing import NDArray

from seqcli.data.encoded import make_batch
from seqcli.data.image_file import read_image
from seqcli.data.images import ImageReader
from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import DataError, RecipeError, SeqcliError
from seqcli.evaluation.reader import Reader, Result, SearchSettings, Translation, longest_hypothesis
from seqcli.evaluation.shortened import shortened
from seqcli.evaluation.wishes import Asked
from seqcli.evaluation.workers import in_threads
from seqcli.models.ensemble import Predictor
from seqcli.models.seq2seq import Seq2Seq
from seqcli.models.shortlisted import Shortlisted
from seqcli.nn.reduced import reduced, reduces
from seqcli.nn.twin import by_columns
from seqcli.search.beam import beam_search
from seqcli.search.demands import Demands
from seqcli.search.penalties import Coverage
from seqcli.search.trace import BeamTrace
from seqcli.symbols import BOS, EOS, PAD, UNK, Example
from seqcli.types import Batch, Hypotheses


class Translator(Reader):
    """A model as the engine. One that is `fixed`, whose weights stay as they are, may be searched with by way of a copy that is quicker."""

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        *,
        reverse_source: bool = False,
        longest_source: int | None = None,
        longest_target: int | None = None,
        image_reader: ImageReader | None = None,
        fixed: bool = False,
    ) -> None:
        super().__init__(
            source_tokenizer,
            target_tokenizer,
            reverse_source=reverse_source,
            longest_source=longest_source,
            longest_target=longest_target,
            image_reader=image_reader,
        )
        self.model = model
        self.fixed = fixed

    @property
    def predictor(self) -> Predictor:
        """What says which symbol comes next."""
        return self.model

    def search_predictor(self, settings: SearchSettings) -> Predictor:
        """What a search asks for the next symbol: the same, but for how its weights lie in memory."""
        # a short list takes rows of the output layer
        if self.fixed and settings.shortlist is None and self.device.type == "cpu":
            return self._by_columns
        return self.model

    @cached_property
    def _by_columns(self) -> Seq2Seq:
        return by_columns(self.model)

    def reduced_predictor(self) -> Predictor:
        """The same with its matrix products in 16 bits: a copy of the weights as they are now, which takes some milliseconds."""
        return reduced(self.model)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def in_turn(
        self, work: Callable[[list[int]], Result], bunches: Sequence[list[int]], settings: SearchSettings
    ) -> Iterator[tuple[list[int], Result]]:
        """Each bunch with what `work` makes of it, several at a time where that is quicker."""
        # a processor that is tried out should have nothing else to do
        reduces(settings.precision, self.device)
        return in_threads(work, bunches, self.device)

    @property
    def members(self) -> tuple[Translator, ...]:
        """All who read the sources: itself."""
        return (self,)

    def answers(
        self,
        examples: Sequence[Example],
        sources: Sequence[Sequence[int]],
        settings: SearchSettings,
        *,
        asked: Sequence[Asked],
        trace: BeamTrace | None = None,
    ) -> Iterable[list[Translation]]:
        """What a search side by side finds."""
        return self.spell(self.search(self.batch(examples, sources=sources), settings, asked=asked, trace=trace))

    def batch(
        self,
        examples: Sequence[Example],
        targets: Sequence[Sequence[int]] | None = None,
        *,
        sources: Sequence[Sequence[int]] | None = None,
    ) -> Batch:
        """The examples side by side, on the model's device; `sources` are their ids, where they are encoded already.

        Raises `DataError` for an image that cannot be read.
        """
        images = None
        if self.image_reader is not None:
            images = [_read(self.image_reader, example) for example in examples]
        sources = sources or [self.encode(example) for example in examples]
        batch = make_batch(sources, targets, range(len(sources)), images)
        return batch.to(self.device)

    def encode_target(self, text: str) -> list[int]:
        """The ids that the decoder should write, EOS last."""
        ids = self.target_tokenizer.encode(text)
        return [*(ids if self.longest_target is None else ids[: self.longest_target - 1]), EOS]

    def search(
        self,
        batch: Batch,
        settings: SearchSettings,
        *,
        asked: Sequence[Asked] = (),
        trace: BeamTrace | None = None,
    ) -> Hypotheses:
        """Search for the sources of a batch side by side, each with what is `asked` of it; a `trace` is told all that was considered.

        The length of a text bounds its hypothesis, an image does not. Raises `SeqcliError` for a coverage penalty without attention, and
        for groups of different sizes.
        """
        if settings.beam_size % settings.diverse_groups:
            raise RecipeError(
                f"a beam of {settings.beam_size} cannot be parted into {settings.diverse_groups} groups; give a multiple, or search.diverse_groups=1"
            )
        lengths = batch.source_mask.sum(dim=1).tolist()
        every = asked or [self.asked(settings)] * len(lengths)
        limits = [
            longest_hypothesis(one, settings.max_length if batch.image is not None else settings.limit(length))
            for one, length in zip(every, lengths, strict=True)
        ]
        demands: list[Demands] = []
        if settings.sampling is not None or any(one.demands.restrict for one in every):
            demands = [
                replace(one.demands, source=name) for one, name in zip(every, _names(batch, lengths), strict=True)
            ]
        self.model.eval()
        with torch.inference_mode():
            in_16_bits = reduces(settings.precision, self.device)
            predictor = self.reduced_predictor() if in_16_bits else self.search_predictor(settings)
            short = None
            if settings.shortlist is not None:
                short = shortened(predictor, settings.shortlist, batch, demands)
                predictor, demands = short.predictor, [short.asked(one) for one in demands]
            state = predictor.start(batch)
            coverage = None
            if settings.coverage_penalty > 0.0:
                if "mask" not in state.memory or not isinstance(predictor, Seq2Seq | Shortlisted):
                    who = "this model has none" if len(self.members) == 1 else "an ensemble has none of its own"
                    raise SeqcliError(f"a coverage penalty needs attention, and {who}; leave coverage_penalty out")
                coverage = Coverage(predictor.step_with_attention, state.memory["mask"], settings.coverage_penalty)
            found = beam_search(
                predictor.step,
                state,
                limits,
                beam_size=settings.beam_size,
                length_penalty=settings.length_penalty,
                normalization=settings.length_normalization,
                coverage=coverage,
                patience=settings.patience,
                groups=settings.diverse_groups,
                diversity=settings.diversity,
                repetition_penalty=settings.repetition_penalty,
                no_repeat_ngram=settings.no_repeat_ngram,
                sampling=settings.sampling,
                demands=demands,
                banned=(PAD, BOS) if settings.unknown else (PAD, BOS, UNK),
                trace=trace,
            )
        if short is None:
            return found
        if trace is not None:
            trace.rename(short.columns.tolist())
        return short.found(found)

    def spell(self, hypotheses: Hypotheses) -> Iterator[list[Translation]]:
        """The hypotheses of each row as text; places that the search left empty are left out."""
        columns = (hypotheses.ids, hypotheses.lengths, hypotheses.scores, hypotheses.log_probs)
        for row in zip(*(column.tolist() for column in columns), strict=True):
            yield [
                Translation(self.target_tokenizer.decode(ids[:length]), score, log_prob, tuple(ids[:length]))
                for ids, length, score, log_prob in zip(*row, strict=True)
                if length > 0
            ]


def _names(batch: Batch, lengths: Sequence[int]) -> list[tuple[int, ...]]:
    """What tells each source of a batch from others: its ids, `lengths` of them, and a number that follows from its image, where it has one."""
    names = [tuple(ids[:length]) for ids, length in zip(batch.source.tolist(), lengths, strict=True)]
    if batch.image is None:
        return names
    digests = [hashlib.sha256(image.numpy().tobytes()).digest() for image in batch.image.cpu()]
    looked_at = range(len(names)) if batch.image_of is None else batch.image_of.tolist()
    return [(*name, int.from_bytes(digests[place][:8], "little")) for name, place in zip(names, looked_at, strict=True)]


def _read(reader: ImageReader, example: Example) -> NDArray[Any]:
    read = read_image(reader, (example.image, example.origin))
    if isinstance(read, str):
        raise DataError(read)
    return read
