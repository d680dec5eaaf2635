"""A corpus as ids, in an Arrow file that is mapped into memory: larger than RAM if need be, and there at once next time."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from seqcli.data.arrow import IDS, TEXTS, IdLists, ids_column, text_column, texts_column
from seqcli.data.cache import cache_key
from seqcli.data.corpus import Corpus
from seqcli.data.tokenizer import Tokenizer, encode_source
from seqcli.errors import DataError, StorageError
from seqcli.symbols import BOS, EOS, PAD, UNK, Example
from seqcli.types import Batch

Ids = Sequence[int] | NDArray[np.int32]
Row = tuple[Example, list[int], list[int]]

CHUNK_ROWS = 8192
CHUNK_SIZE = 1 << 23
"""A chunk of the file, which is what is in memory while it is written, has at most so many rows, and about so many
characters and ids."""

SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "target": pa.string(),
        "features": TEXTS,
        "origin": pa.string(),
        "source_ids": IDS,
        "target_ids": IDS,
    }
)


@dataclass
class EncodingReport:
    """What became of a corpus: `examples` kept, `empty` ones (a side without a symbol) and `too_long` ones left out.

    The origins name the first few of those left out. Lengths are in symbols without EOS; the shares of unknown symbols are
    among the symbols of the examples that were kept.
    """

    examples: int = 0
    empty: int = 0
    empty_origins: tuple[str, ...] = ()
    too_long: int = 0
    too_long_origins: tuple[str, ...] = ()
    source_longest: int = 0
    target_longest: int = 0
    source_unknown: float = 0.0
    target_unknown: float = 0.0


class EncodedCorpus:
    """The examples of a corpus, encoded, by row number. Rows are read from the mapped file when they are asked for."""

    def __init__(self, folder: Path) -> None:
        # the folder is named by the content of the corpus and by how it was encoded
        self.digest = folder.name.removeprefix("encoded-")
        self.report = EncodingReport(**_tuples(json.loads((folder / "report.json").read_text(encoding="utf-8"))))
        self._table = pa.ipc.open_file(pa.memory_map(str(folder / "examples.arrow"))).read_all()
        self._sources = IdLists(self._table["source_ids"])
        self._targets = IdLists(self._table["target_ids"])

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def source_lengths(self) -> NDArray[np.int32]:
        """Symbols of each source, EOS counted."""
        return self._sources.lengths

    @property
    def target_lengths(self) -> NDArray[np.int32]:
        """Symbols of each target, EOS counted: the labels, not the BOS before them."""
        return self._targets.lengths

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The batch of these rows, in this order; its `index` is the rows."""
        return make_batch([self._sources[row] for row in rows], [self._targets[row] for row in rows], rows)

    def example(self, row: int) -> Example:
        """The example of a row as text; its `index` is the row."""
        cells = {name: self._table[name][int(row)].as_py() for name in ("source", "target", "origin", "features")}
        return Example(cells["source"], cells["target"], int(row), cells["origin"], tuple(cells["features"]))


def make_batch(
    source_ids: Sequence[Ids], target_ids: Sequence[Ids] | None, index: Sequence[int] | NDArray[np.int64]
) -> Batch:
    """A batch of ids that end in EOS; BOS is put before the targets (None where there is nothing to learn from)."""
    source = _rectangle(source_ids)
    target = None
    if target_ids is not None:
        labels = _rectangle(target_ids)
        target = torch.cat([torch.full((len(labels), 1), BOS), labels], dim=1)
    return Batch(source, source != PAD, target, torch.as_tensor(np.asarray(index, dtype=np.int64)))


def encode_corpus(
    corpus: Corpus,
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    cache: Path,
    *,
    source_max_length: int | None = None,
    target_max_length: int | None = None,
    reverse_source: bool = False,
) -> EncodedCorpus:
    """The corpus as ids: from the folder `cache` if it was encoded before in the same way, else encoded into it now.

    Examples with an empty side, or with more symbols than the limits, are left out and counted. Raises `DataError` if none
    is left, or where the corpus cannot be read, and `StorageError` if the cache cannot be written.
    """
    limits = (source_max_length, target_max_length)
    digests = (corpus.digest(), source_tokenizer.digest, target_tokenizer.digest)
    folder = cache / f"encoded-{cache_key(*digests, *limits, reverse_source)}"
    found = open_encoded(folder)
    if found is not None:
        return found
    encoding = _Encoding(source_tokenizer, target_tokenizer, limits, reverse_source)
    try:
        with tempfile.TemporaryDirectory(prefix=".encoding-", dir=cache) as temporary:
            _write(corpus, encoding, Path(temporary))
            _publish(Path(temporary), folder)
    except OSError as error:
        raise StorageError(f"{cache}: cannot be written ({error.strerror or error})") from error
    return EncodedCorpus(folder)


def open_encoded(folder: Path) -> EncodedCorpus | None:
    """What `encode_corpus` has left in a folder of its cache; None if nothing, or nothing whole, is there."""
    try:
        return EncodedCorpus(folder)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


class _Encoding:
    """Examples to rows of the file, and the counts of the report."""

    def __init__(
        self,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        limits: tuple[int | None, int | None],
        reverse_source: bool,
    ) -> None:
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.limits = limits
        self.reverse_source = reverse_source
        self.report = EncodingReport()
        self._symbols = [0, 0]
        self._unknown = [0, 0]

    def rows(self, corpus: Corpus) -> Iterator[Row]:
        """The examples that are kept, each with its ids, EOS at their end."""
        report = self.report
        for example in corpus.read():
            text = example.target or ""
            source = encode_source(self.source_tokenizer, example.source, example.features, reverse=self.reverse_source)
            target = [*self.target_tokenizer.encode(text), EOS]
            lengths = (len(source) - 1, len(target) - 1)
            if not example.source.strip() or not text.strip() or 0 in lengths:
                report.empty += 1
                report.empty_origins = _first_few(report.empty_origins, example.origin)
            elif any(limit is not None and length > limit for length, limit in zip(lengths, self.limits, strict=True)):
                report.too_long += 1
                report.too_long_origins = _first_few(report.too_long_origins, example.origin)
            else:
                self._count(source, target)
                yield example, source, target

    def _count(self, source: list[int], target: list[int]) -> None:
        report = self.report
        report.examples += 1
        report.source_longest = max(report.source_longest, len(source) - 1)
        report.target_longest = max(report.target_longest, len(target) - 1)
        for side, ids in enumerate((source, target)):
            self._symbols[side] += len(ids) - 1
            self._unknown[side] += ids.count(UNK)
        report.source_unknown = self._unknown[0] / self._symbols[0]
        report.target_unknown = self._unknown[1] / self._symbols[1]


def _write(corpus: Corpus, encoding: _Encoding, folder: Path) -> None:
    with pa.OSFile(str(folder / "examples.arrow"), "wb") as stream, pa.ipc.new_file(stream, SCHEMA) as writer:
        for rows in _chunks(encoding.rows(corpus)):
            writer.write_batch(_record_batch(rows))
    report = encoding.report
    if not report.examples:
        raise DataError(
            f"{corpus.name}: no example is left to use: {report.empty} have an empty side, {report.too_long} are too long"
        )
    (folder / "report.json").write_text(json.dumps(asdict(report)), encoding="utf-8")


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for example, source, target in rows:
        chunk.append((example, source, target))
        size += len(example.source) + len(example.target or "") + len(source) + len(target)
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_SIZE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _record_batch(rows: list[Row]) -> Any:
    examples = [example for example, _, _ in rows]
    columns = [
        text_column([example.source for example in examples]),
        text_column([example.target or "" for example in examples]),
        texts_column([example.features for example in examples]),
        text_column([example.origin for example in examples]),
        ids_column([source for _, source, _ in rows]),
        ids_column([target for _, _, target in rows]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _publish(temporary: Path, folder: Path) -> None:
    """Give what is whole its name. Another process may have done so first: then its work, which is the same, is kept."""
    whole = temporary / "whole"
    whole.mkdir()
    for name in ("examples.arrow", "report.json"):
        os.replace(temporary / name, whole / name)
    if open_encoded(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        os.replace(whole, folder)
    except OSError:
        if open_encoded(folder) is None:
            raise


def _rectangle(rows: Sequence[Ids]) -> torch.Tensor:
    """Rows of ids (B,S), filled up with PAD."""
    lengths = np.array([len(row) for row in rows])
    rectangle = np.full((len(rows), int(lengths.max(initial=0))), PAD, dtype=np.int64)
    rectangle[np.arange(rectangle.shape[1]) < lengths[:, None]] = np.concatenate(rows) if len(rows) else []
    return torch.from_numpy(rectangle)


def _first_few(origins: tuple[str, ...], origin: str) -> tuple[str, ...]:
    return origins if len(origins) >= 5 else (*origins, origin)


def _tuples(record: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists only."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
