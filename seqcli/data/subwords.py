"""Subword tokenizers: byte-pair encoding (Sennrich et al. 2016, §3.2) and the unigram language model (Kudo 2018, §3.2)."""

from __future__ import annotations

import hashlib
import io
import itertools
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import sentencepiece
from typing_extensions import Self

from seqcli.data.records import record_digest, write_record
from seqcli.data.splitting import Form, Normalizer
from seqcli.data.vocabulary import CannotLearn, by_frequency
from seqcli.errors import DataError
from seqcli.storage import write_file
from seqcli.symbols import BOS, EOS, PAD, SPECIAL, UNK

SPACE = "\u2581"
"""▁, what sentencepiece writes for a space: a piece that begins with it begins a word."""

TEXTS_LEARNT_FROM = 5_000_000
"""sentencepiece keeps all that it learns from in memory; so many texts are enough for any vocabulary."""


@dataclass(frozen=True)
class SubwordTokenizer:
    """A tokenizer around a sentencepiece model; see `Tokenizer` for what it does.

    The ids of the features come after those of the model's pieces.
    """

    kind: Literal["bpe", "unigram"]
    normalizer: Normalizer
    features: tuple[str, ...]
    model: bytes

    @classmethod
    def from_record(cls, record: dict[str, Any], model_path: Path) -> Self:
        """The tokenizer that `save` wrote; raises `DataError` if the model is missing or damaged."""
        try:
            model = model_path.read_bytes()
        except OSError as error:
            raise DataError(f"{model_path}: cannot be read ({error.strerror or error})") from error
        # The digest comes first: sentencepiece has crashed on models made to harm, and takes some damaged ones for good.
        if _digest(model) != record["model"]:
            raise DataError(f"{model_path}: the file is damaged, or not the one that {record['kind']} was saved with")
        return cls(
            record["kind"], Normalizer(record["lowercase"], record["normalize"]), tuple(record["features"]), model
        )

    @property
    def size(self) -> int:
        """The model's pieces (special symbols are among them) and the features."""
        return self._pieces + len(self.features)

    @cached_property
    def digest(self) -> str:
        """Differs for tokenizers that differ."""
        return record_digest(self._record())

    def encode(self, text: str, features: Sequence[str] = ()) -> list[int]:
        """Ids of features and text."""
        ids: list[int] = self._processor.encode(self.normalizer(text))
        return [self._feature_ids.get(feature, UNK) for feature in features] + ids

    def decode(self, ids: Sequence[int], unknown: Sequence[str] = ()) -> str:
        """The text without special symbols and features; for unknown symbols, one after the other, those given."""
        given = itertools.chain(unknown, itertools.repeat(SPECIAL[UNK]))
        written = (i for i in ids if i == UNK or len(SPECIAL) <= i < self._pieces)
        # Written out here, because sentencepiece shows an unknown symbol as ⁇ with spaces around.
        pieces = (next(given) if i == UNK else self._label(i) for i in written)
        return self.normalizer.composed("".join(pieces).replace(SPACE, " ").removeprefix(" "))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """A label for each id; ▁ stands for the space before a word."""
        return [self._label(i) for i in ids]

    def texts(self) -> list[str | None]:
        """The pieces, ▁ for a space, and None for the special symbols among them and the features."""
        pieces = [self._label(i) for i in range(len(SPECIAL), self._pieces)]
        return [*[None] * len(SPECIAL), *pieces, *[None] * len(self.features)]

    def words(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """The pieces up to the next ▁ together."""
        spans: list[tuple[int, int]] = []
        inside = False
        for place, i in enumerate(ids):
            single = i != UNK and not len(SPECIAL) <= i < self._pieces
            if inside and not single and not self._label(i).startswith(SPACE):
                spans[-1] = (spans[-1][0], place + 1)
            else:
                spans.append((place, place + 1))
            inside = not single
        return spans

    def split(self, text: str) -> list[str]:
        """The pieces of the text."""
        pieces: list[str] = self._processor.encode(self.normalizer(text), out_type=str)
        return pieces

    def save(self, folder: Path, name: str) -> None:
        """Write `name`.model, then `name`.json."""
        write_file(folder / f"{name}.model", self.model)
        write_record(folder / f"{name}.json", self._record())

    def _record(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            **asdict(self.normalizer),
            "features": list(self.features),
            "model": _digest(self.model),
        }

    def _label(self, i: int) -> str:
        if i < len(SPECIAL):
            return SPECIAL[i]
        if i >= self._pieces:
            return self.features[i - self._pieces]
        return str(self._processor.id_to_piece(int(i)))

    @cached_property
    def _processor(self) -> Any:
        return sentencepiece.SentencePieceProcessor(model_proto=self.model)

    @cached_property
    def _pieces(self) -> int:
        return int(self._processor.get_piece_size())

    @cached_property
    def _feature_ids(self) -> dict[str, int]:
        return {feature: i for i, feature in enumerate(self.features, start=self._pieces)}


def learn_subwords(
    texts: Iterable[str],
    *,
    kind: Literal["bpe", "unigram"],
    vocabulary_size: int,
    median_frequency: int | None = None,
    features: Iterable[str] = (),
    lowercase: bool = False,
    normalize: Form = "none",
) -> SubwordTokenizer:
    """A tokenizer of at most `vocabulary_size` subwords, special symbols counted, and of fewer where half of them would be seen less often
    than `median_frequency` in the texts; the same texts give the same bytes.

    Every character of `texts` is kept, so that what was learnt from can be written, but for three that sentencepiece uses
    itself: NUL, ▅ (a text with it is passed over), and ▁, which comes back as a space. Raises `CannotLearn` if there is no text,
    or too small a vocabulary for its characters.
    """
    normalizer = Normalizer(lowercase, normalize)
    sentences = (text for text in map(normalizer, texts) if text.strip())
    first = next(sentences, None)
    if first is None:
        raise CannotLearn(f"there is no text to learn {kind} subwords from; every one is empty")
    learnt_from = itertools.chain([first], itertools.islice(sentences, TEXTS_LEARNT_FROM - 1))
    if median_frequency is None:
        model = _train(learnt_from, kind, vocabulary_size)
    else:
        model = _train_frequent(list(learnt_from), kind, vocabulary_size, median_frequency)
    return SubwordTokenizer(kind, normalizer, by_frequency(Counter(features)), model)


def _train(sentences: Iterator[str], kind: str, vocabulary_size: int) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences,
            model_writer=model,
            model_type=kind,
            vocab_size=vocabulary_size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            # The text is normalised already, and what it says must come back: no rule of sentencepiece may touch it.
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            max_sentence_length=1 << 30,
            # One thread: the unigram model's scores depend on how many there are.
            num_threads=1,
            # sentencepiece cuts the names of its special pieces out of the text it learns from: no text has these names.
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            pad_piece="\ue000pad",
            bos_piece="\ue000bos",
            eos_piece="\ue000eos",
            unk_piece="\ue000unk",
            minloglevel=2,
        )
    except RuntimeError as error:
        needed = re.search(r"required_chars\. \d+ vs (\d+)", str(error))
        reason = f"it takes {needed[1]} at least, one for each character" if needed else str(error).splitlines()[0]
        raise CannotLearn(
            f"{kind} subwords cannot be learnt with vocabulary_size = {vocabulary_size}: {reason}"
        ) from error
    return model.getvalue()


def _train_frequent(sentences: Sequence[str], kind: str, vocabulary_size: int, median_frequency: int) -> bytes:
    """A model whose subwords are seen so often, if need be after a few trials of fewer; the last trial has each character and little else.

    What is seen rarely has an embedding that is hardly learnt (Gowda & May 2020, "Finding the optimal vocabulary size for neural machine
    translation", who ask for 100 times in 95 % of the classes).
    """
    words = Counter(word for sentence in sentences for word in sentence.split(" "))
    fewest = len(SPECIAL) + len({SPACE, *itertools.chain.from_iterable(words)})
    model = _train(iter(sentences), kind, vocabulary_size)
    while True:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        found, size = _median_frequency(processor, words), processor.get_piece_size()
        if found >= median_frequency or size <= fewest:
            return model
        # the median goes about as the size to the power of -3/2 (measured on Multi30k); a trial is too small rather than one more
        share = min(max((found / median_frequency) ** (2 / 3), 0.25), 0.9)
        model = _train(iter(sentences), kind, max(round(size * share), fewest))


def _median_frequency(processor: Any, words: Mapping[str, int]) -> float:
    """How often a piece of more than one character is seen, at the median; infinity where there is none. No piece goes beyond a word."""
    counts: Counter[int] = Counter()
    for word, times in words.items():
        for i in processor.encode(word):
            counts[i] += times
    pieces = range(len(SPECIAL), processor.get_piece_size())
    joined = [counts[i] for i in pieces if len(processor.id_to_piece(i)) > 1]
    return statistics.median(joined) if joined else math.inf


def _digest(model: bytes) -> str:
    return hashlib.blake2b(model, digest_size=16).hexdigest()
