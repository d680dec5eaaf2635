"""Text in, text out: a model, its two tokenizers and a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from seqcli.data.encoded import make_batch
from seqcli.data.tokenizer import Tokenizer, encode_source
from seqcli.models.seq2seq import Seq2Seq
from seqcli.search.beam import beam_search
from seqcli.symbols import BOS, EOS, PAD, UNK, Example
from seqcli.types import Hypotheses


@dataclass(frozen=True)
class SearchSettings:
    """How to search; the defaults of a run stand in its recipe."""

    beam_size: int
    length_penalty: float
    max_length: int
    max_ratio: float | None
    batch_sentences: int
    unknown: bool = False
    """Whether the unknown symbol may be written."""

    def limit(self, source_length: int) -> int:
        """The longest hypothesis for a source of that many symbols."""
        if self.max_ratio is None:
            return self.max_length
        return min(self.max_length, int(self.max_ratio * source_length) + 10)


@dataclass(frozen=True)
class Translation:
    """One hypothesis as text: `score` is what the order follows, `log_prob` the sum over its symbols, `ids` with EOS."""

    text: str
    score: float
    log_prob: float
    ids: tuple[int, ...]


class Translator:
    """Turns sources into hypotheses, many at a time.

    `longest_source` and `longest_target` are what a model with learned positions can read and write, EOS counted; longer
    sources and references are cut there, and the sources counted in `cut`.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        *,
        reverse_source: bool = False,
        longest_source: int | None = None,
        longest_target: int | None = None,
    ) -> None:
        self.model = model
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.reverse_source = reverse_source
        self.longest_source = longest_source
        self.longest_target = longest_target
        self.cut = 0

    def translate(self, examples: Sequence[Example], settings: SearchSettings) -> list[list[Translation]]:
        """The hypotheses for each example, best first, in the order given.

        The sources are sorted by length and translated side by side; an empty one is answered by an empty text.
        """
        encoded = [self.encode(example) for example in examples]
        order = sorted(
            (row for row in range(len(examples)) if len(encoded[row]) > 1), key=lambda row: len(encoded[row])
        )
        results = [[Translation("", 0.0, 0.0, ())] for _ in examples]
        for start in range(0, len(order), settings.batch_sentences):
            rows = order[start : start + settings.batch_sentences]
            found = self.search([encoded[row] for row in rows], settings)
            for row, translations in zip(rows, self.spell(found), strict=True):
                results[row] = translations
        return results

    def encode(self, example: Example) -> list[int]:
        """The ids that the encoder reads, EOS last."""
        ids = encode_source(self.source_tokenizer, example.source, example.features, reverse=self.reverse_source)
        if self.longest_source is not None and len(ids) > self.longest_source:
            self.cut += 1
            ids = [*ids[: self.longest_source - 1], EOS]
        return ids

    def encode_target(self, text: str) -> list[int]:
        """The ids that the decoder should write, EOS last."""
        ids = self.target_tokenizer.encode(text)
        return [*(ids if self.longest_target is None else ids[: self.longest_target - 1]), EOS]

    def search(self, sources: Sequence[Sequence[int]], settings: SearchSettings) -> Hypotheses:
        """Search for encoded sources side by side."""
        device = next(self.model.parameters()).device
        batch = make_batch(sources, None, range(len(sources))).to(device)
        limits = [min(settings.limit(len(source)), self.longest_target or settings.max_length) for source in sources]
        self.model.eval()
        with torch.inference_mode():
            return beam_search(
                self.model.step,
                self.model.start(batch.source, batch.source_mask),
                limits,
                beam_size=settings.beam_size,
                length_penalty=settings.length_penalty,
                banned=(PAD, BOS) if settings.unknown else (PAD, BOS, UNK),
            )

    def spell(self, hypotheses: Hypotheses) -> Iterator[list[Translation]]:
        """The hypotheses of each row as text; places that the search left empty are left out."""
        columns = (hypotheses.ids, hypotheses.lengths, hypotheses.scores, hypotheses.log_probs)
        for row in zip(*(column.tolist() for column in columns), strict=True):
            yield [
                Translation(self.target_tokenizer.decode(ids[:length]), score, log_prob, tuple(ids[:length]))
                for ids, length, score, log_prob in zip(*row, strict=True)
                if length > 0
            ]
