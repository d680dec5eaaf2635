"""Sources in, hypotheses out, many at a time, whatever engine answers; and how to search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from seqcli.data.image_file import read_image
from seqcli.data.images import ImageReader
from seqcli.data.tokenizer import Tokenizer, encode_source
from seqcli.data.unknown_symbols import copied
from seqcli.errors import DataError, RecipeError
from seqcli.evaluation.minimum_risk import MinimumRisk
from seqcli.evaluation.wishes import Asked, Wishes, asked
from seqcli.nn.reduced import Precision
from seqcli.search.penalties import LengthNormalization, LengthPenalty
from seqcli.search.sampling import Sampling
from seqcli.search.shortlist import Shortlist
from seqcli.search.trace import BeamTrace, Node
from seqcli.symbols import EOS, UNK, Example

LONGEST_SOURCE = 4096
"""Symbols that are read of a source, whatever the model: time and memory of self-attention grow with the square."""
FEWEST, HYPOTHESES = 64, 256
"""Sentences that are searched for together: so many at least, and as many as have so many hypotheses. Measured: with fewer rows the products are
slower, with more their results leave the cache."""
BATCH_SYMBOLS = 32768
"""Source symbols, padding counted, that are translated side by side at most, so that long lines do not need all memory."""


@dataclass(frozen=True)
class SearchSettings:
    """How to search; the defaults of a run stand in its recipe."""

    beam_size: int
    length_penalty: float
    max_length: int
    max_ratio: float | None
    batch_sentences: int | None = None
    unknown: bool | Literal["copied"] = False
    """Whether the unknown symbol may be written; copied: and stands for the unknown symbols of the source, one after the other."""
    length_normalization: LengthNormalization = "average"
    coverage_penalty: float = 0.0
    patience: float | None = 1.0
    diverse_groups: int = 1
    diversity: float = 0.5
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    precision: Precision = "float32"
    shortlist: Shortlist | None = None
    """What is scored of the target's symbols, if not all."""
    sampling: Sampling | None = None
    """What hypotheses are drawn from, `beam_size` of them, if they are drawn."""
    minimum_risk: MinimumRisk | None = None
    """By what hypotheses are ranked anew, each once, if not by the model: their `score` is then the expected utility."""
    wishes: Wishes = Wishes()
    """What is wished of every translation that has no wishes of its own."""

    @property
    def sentences_together(self) -> int:
        """How many sentences are searched for together."""
        return self.batch_sentences or max(FEWEST, HYPOTHESES // self.beam_size)

    @property
    def scoring(self) -> LengthPenalty:
        """What makes a score of a log-probability."""
        return LengthPenalty(self.length_normalization, self.length_penalty)

    def at_least(self, hypotheses: int) -> SearchSettings:
        """The same with so wide a beam that it may find so many; groups stay of one size."""
        size = max(self.beam_size, hypotheses)
        return replace(self, beam_size=-(-size // self.diverse_groups) * self.diverse_groups)

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


Told = Callable[[int, int], None]
"""Is told how much of some work is done, and how much there is."""


Traced = Callable[[int, list[Node]], None]
"""Is told an example's place and what its search considered."""


def nobody(done: int, total: int) -> None:
    """Who is told where nobody wants to know."""


Result = TypeVar("Result")


class Reader:
    """Turns sources into hypotheses, many at a time; how a bunch of them is answered is its engine's (`answers`).

    `longest_source` and `longest_target` are what a model with learned positions can read and write, EOS counted; longer
    sources (at most `LONGEST_SOURCE` in any case) and references are cut there. `cut` has the origins of those sources. Where there is an
    `image_reader`, a source is an image, or an image and a text.
    """

    def __init__(
        self,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        *,
        reverse_source: bool = False,
        longest_source: int | None = None,
        longest_target: int | None = None,
        image_reader: ImageReader | None = None,
    ) -> None:
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.reverse_source = reverse_source
        self.longest_source = min(longest_source or LONGEST_SOURCE, LONGEST_SOURCE)
        self.longest_target = longest_target
        self.image_reader = image_reader
        self.cut: dict[str, None] = {}  # a set that keeps its order

    @property
    def members(self) -> tuple[Reader, ...]:
        """All who read the sources: itself."""
        return (self,)

    def translate(
        self,
        examples: Sequence[Example],
        settings: SearchSettings,
        told: Told = nobody,
        *,
        wishes: Sequence[Wishes | None] = (),
        traced: Traced | None = None,
    ) -> list[list[Translation]]:
        """The hypotheses for each example, best first, in the order given; `wishes` are those of each, where some have any of their own, and
        `traced` gets the beam of each.

        The sources are sorted by length and translated side by side; one with nothing to read or to see is answered by an empty text.
        After each bunch `told` gets how many of the sources' symbols are done, and how many there are.
        """
        usual = self.asked(settings)
        every = [
            usual if own is None else self.asked(settings, own, example.origin)
            for example, own in zip(examples, wishes or [None] * len(examples), strict=True)
        ]
        encoded = [self.encode(example) for example in examples]
        written = [row for row, example in enumerate(examples) if not self.blank(example, encoded[row])]
        results = [[Translation("", 0.0, 0.0, ())] for _ in examples]
        lengths = [len(ids) for ids in encoded]
        done, total = 0, sum(lengths[row] for row in written)

        def search(rows: list[int]) -> tuple[list[list[Translation]], BeamTrace | None]:
            trace = None if traced is None else BeamTrace()
            found = self.answers(
                [examples[row] for row in rows],
                [encoded[row] for row in rows],
                settings,
                asked=[every[row] for row in rows],
                trace=trace,
            )
            return list(found), trace

        # the longest first, so that threads end together
        bunches = list(_in_bunches(written, lengths, settings.sentences_together))[::-1]
        for rows, (found, trace) in self.in_turn(search, bunches, settings):
            for place, (row, translations) in enumerate(zip(rows, found, strict=True)):
                translations = self.with_copies(translations, examples[row].source, settings)
                results[row] = (
                    translations if settings.minimum_risk is None else ranked(translations, settings.minimum_risk)
                )
                if traced is not None and trace is not None:
                    traced(row, trace.nodes(place))
            done += sum(lengths[row] for row in rows)
            told(done, total)
        return results

    def in_turn(
        self, work: Callable[[list[int]], Result], bunches: Sequence[list[int]], settings: SearchSettings
    ) -> Iterator[tuple[list[int], Result]]:
        """Each bunch of rows with what `work` makes of it, in their order."""
        return ((rows, work(rows)) for rows in bunches)

    def answers(
        self,
        examples: Sequence[Example],
        sources: Sequence[Sequence[int]],
        settings: SearchSettings,
        *,
        asked: Sequence[Asked],
        trace: BeamTrace | None = None,
    ) -> Iterable[list[Translation]]:
        """The hypotheses for each of some examples of nearly one length, best first; `sources` are their ids, and `asked` is what is asked
        of each one's hypotheses. A `trace` is told all that was considered."""
        raise NotImplementedError

    def asked(self, settings: SearchSettings, own: Wishes | None = None, origin: str = "search") -> Asked:
        """What the settings, and an example's own wishes, ask of a search. Raises `RecipeError` where that cannot be, `DataError` naming the
        `origin` of an example whose own wishes they are."""
        wishes, error = (settings.wishes, RecipeError) if own is None else (own.or_else(settings.wishes), DataError)
        if wishes.constraints and (settings.sampling is not None or settings.diverse_groups > 1):
            raise error(f"{origin}: constraints need one beam; leave them out, or sampling and diverse groups")
        return asked(
            wishes,
            self.target_tokenizer,
            max_length=min(settings.max_length, self.longest_target or settings.max_length),
            # one that is copied is the source's, and no wish can say which
            unknown=settings.unknown is True,
            origin=origin,
            error=error,
        )

    def with_copies(self, found: list[Translation], source: str, settings: SearchSettings) -> list[Translation]:
        """The hypotheses for a source with its unknown symbols in place of theirs, where they are to be copied."""
        if settings.unknown != "copied":
            return found
        tokenizers = (self.source_tokenizer, self.target_tokenizer)
        return [replace(one, text=copied(one.ids, source, *tokenizers)) if UNK in one.ids else one for one in found]

    def seen(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """The examples with their images decoded, and a sentence for each that cannot be: such an example is left without one. What has
        neither image nor text is blank, and nothing to complain of."""
        if self.image_reader is None:
            return list(examples), []
        found, complaints = [], []
        for example in examples:
            blank = example.image is None and not example.source.strip()
            read = None if blank else read_image(self.image_reader, (example.image, example.origin))
            if isinstance(read, str):
                complaints.append(read)
            found.append(replace(example, image=None if isinstance(read, str) else read))
        return found, complaints

    def placed(self, example: Example) -> Example:
        """The example with its boxes as shares of its image as the model sees it."""
        if self.image_reader is None or example.image is None:
            return example
        return replace(example, boxes=self.image_reader.framed(example.boxes, example.image))

    def encode(self, example: Example) -> list[int]:
        """The ids that the encoder reads, EOS last."""
        ids = encode_source(self.source_tokenizer, example.source, example.features, reverse=self.reverse_source)
        if len(ids) > self.longest_source:
            self.cut[example.origin] = None
            ids = [*ids[: self.longest_source - 1], EOS]
        return ids

    def blank(self, example: Example, ids: Sequence[int]) -> bool:
        """Whether an example, whose source is encoded as `ids`, has nothing to read or to see."""
        if self.image_reader is not None:
            return example.image is None
        return not example.source.strip() or len(ids) < 2


def ranked(samples: Sequence[Translation], risk: MinimumRisk) -> list[Translation]:
    """The different texts among `samples`, the one with the highest expected utility first; that utility is their score. Of several ways to
    write a text the most probable one is kept."""
    likely: dict[str, Translation] = {}
    for one in samples:
        if one.text not in likely or one.log_prob > likely[one.text].log_prob:
            likely[one.text] = one
    numbers = Counter(one.text for one in samples)
    expected = risk.expected(list(likely), [numbers[text] for text in likely])
    found = [replace(one, score=score) for one, score in zip(likely.values(), expected, strict=True)]
    return sorted(found, key=lambda one: (one.score, one.log_prob), reverse=True)


def longest_hypothesis(one: Asked, usual: int) -> int:
    """The longest hypothesis, where `usual` is what the source's length allows: enough for what is asked, within what may be."""
    return min(max(usual, one.demands.min_length, one.demands.shortest()), one.max_length)


def _in_bunches(rows: Sequence[int], lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """The rows in bunches of at most `most`, shortest first, none with more than `BATCH_SYMBOLS` cells if it has two rows."""
    bunch: list[int] = []
    for row in sorted(rows, key=lambda row: lengths[row]):
        if bunch and (len(bunch) == most or (len(bunch) + 1) * lengths[row] > BATCH_SYMBOLS):
            yield bunch
            bunch = []
        bunch.append(row)
    if bunch:
        yield bunch
