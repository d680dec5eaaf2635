"""A corpus as ids, in an Arrow file that is mapped into memory: larger than RAM if need be, and there at once next time."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from typing_extensions import Unpack

from seqcli.data.arrow import IDS, TEXTS, IdLists, ids_column, numbers_column, read_numbers, text_column, texts_column
from seqcli.data.cache import cache_key
from seqcli.data.corpus import Corpus
from seqcli.data.image_file import ABOUT, ARRAYS, ImageFile, ImageWriter
from seqcli.data.images import ImageReader
from seqcli.data.pharaoh import format_links, parse_links
from seqcli.data.tokenizer import Tokenizer, encode_source
from seqcli.errors import DataError, StorageError
from seqcli.symbols import BOS, EOS, PAD, UNK, Example, Image
from seqcli.types import Batch

NO_IMAGE = -1
FOLDER = "corpus-"
"""What the folders' names start with: another word for another form of what is in them."""

Ids = Sequence[int] | NDArray[np.int32]


class Row(NamedTuple):
    """An example that is kept, its ids, and the number of its image."""

    example: Example
    source: list[int]
    target: list[int]
    image: int = NO_IMAGE


CHUNK_ROWS = 8192
CHUNK_SIZE = 1 << 23
CHUNK_IMAGES = 1 << 28
"""A chunk of the file, which is what is in memory while it is written, has at most so many rows, about so many characters and ids, and about
so many bytes of images."""

SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "target": pa.string(),
        "features": TEXTS,
        "origin": pa.string(),
        "source_ids": IDS,
        "target_ids": IDS,
        "image": pa.int64(),
        "references": TEXTS,
        "group": pa.string(),
        "boxes": pa.string(),
        "links": pa.string(),
    }
)


@dataclass
class EncodingReport:
    """What became of a corpus: `examples` kept, `empty` ones (a side without a symbol), `too_long` ones and those with a `corrupt` image
    left out.

    The origins name the first few of those left out, and `corrupt_images` say why the first few of `corrupt_different` images cannot be
    read, which several examples may share. Lengths are in symbols without EOS; the shares of unknown symbols are
    among the symbols of the examples that were kept.
    """

    examples: int = 0
    empty: int = 0
    empty_origins: tuple[str, ...] = ()
    too_long: int = 0
    too_long_origins: tuple[str, ...] = ()
    corrupt: int = 0
    corrupt_different: int = 0
    corrupt_images: tuple[str, ...] = ()
    source_longest: int = 0
    target_longest: int = 0
    source_unknown: float = 0.0
    target_unknown: float = 0.0


class EncodedCorpus:
    """The examples of a corpus, encoded, by row number. Rows are read from the mapped file when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.report = EncodingReport(**_tuples(json.loads((folder / "report.json").read_text(encoding="utf-8"))))
        self._table = pa.ipc.open_file(pa.memory_map(str(folder / "examples.arrow"))).read_all()
        self._sources = IdLists(self._table["source_ids"])
        self._targets = IdLists(self._table["target_ids"])
        self._image_numbers = read_numbers(self._table["image"])
        self._images = ImageFile(folder) if (self._image_numbers != NO_IMAGE).any() else None
        # the folder is named by the content of the corpus and by how it was encoded
        self.digest = folder.name.removeprefix(FOLDER) + ("" if self._images is None else self._images.digest)

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

    def current(self) -> bool:
        """Whether the files of images that it was made from, if there are any, are what they were."""
        return self._images is None or self._images.unchanged()

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The batch of these rows, in this order; its `index` is the rows."""
        batch = make_batch([self._sources[row] for row in rows], [self._targets[row] for row in rows], rows)
        if self._images is None:
            return batch
        numbers, image_of = np.unique(self._image_numbers[np.asarray(rows)], return_inverse=True)
        images = as_tensor([self._images[number] for number in numbers])
        if len(numbers) == len(image_of):
            # each row has its own: in the rows' order
            return replace(batch, image=images[torch.from_numpy(image_of)])
        return replace(batch, image=images, image_of=torch.from_numpy(image_of))

    def pairs(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """The ids of both sides of every example, in order, EOS last."""
        for row in range(len(self)):
            yield self._sources[row], self._targets[row]

    @property
    def image_numbers(self) -> NDArray[np.int64]:
        """Which image each row looks at; all -1 where there are none."""
        return self._image_numbers

    def rows_of(self, groups: Sequence[str]) -> NDArray[np.int64]:
        """The rows whose examples belong to one of the groups. Raises `DataError` where a group has none."""
        there, of_rows = self.groups
        for group in groups:
            if group not in there:
                found = ", ".join(sorted(set(there) - {""})) or "none; data.columns.group names a column of them"
                raise DataError(f"no example is of the group {group!r}; there are: {found}")
        return np.flatnonzero(np.isin(of_rows, [there.index(group) for group in groups]))

    @cached_property
    def groups(self) -> tuple[list[str], NDArray[np.int32]]:
        """The groups that there are, in the order of their first examples, and each row's, (N,), by its number among them."""
        found = self._table["group"].combine_chunks().dictionary_encode()
        return found.dictionary.to_pylist(), found.indices.to_numpy()

    def example(self, row: int) -> Example:
        """The example of a row as text, with its image as it was decoded; its `index` is the row."""
        names = ("source", "target", "origin", "features", "references", "group", "boxes", "links")
        cells = {name: self._table[name][int(row)].as_py() for name in names}
        return Example(
            cells["source"],
            cells["target"],
            int(row),
            cells["origin"],
            tuple(cells["features"]),
            self._image(row),
            tuple(cells["references"]),
            cells["group"],
            tuple(box and tuple(box) for box in json.loads(cells["boxes"])),
            parse_links(cells["links"]),
        )

    def _image(self, row: int | np.int64) -> NDArray[Any] | None:
        return None if self._images is None else self._images[int(self._image_numbers[row])]


def make_batch(
    source_ids: Sequence[Ids],
    target_ids: Sequence[Ids] | None,
    index: Sequence[int] | NDArray[np.int64],
    images: Sequence[NDArray[Any]] | None = None,
) -> Batch:
    """A batch of ids that end in EOS; BOS is put before the targets (None where there is nothing to learn from). Images are arrays of one
    shape, as an `ImageReader` makes them."""
    source = _rectangle(source_ids)
    target = None
    if target_ids is not None:
        labels = _rectangle(target_ids)
        target = torch.cat([torch.full((len(labels), 1), BOS), labels], dim=1)
    image = None if images is None else as_tensor(images)
    return Batch(source, source != PAD, target, torch.as_tensor(np.asarray(index, dtype=np.int64)), image)


def as_tensor(images: Sequence[NDArray[Any]]) -> torch.Tensor:
    """Images `uint8 (C,h,w)` as one tensor (B,C,h,w) from -1 to 1; grids of features as they are."""
    stacked = torch.from_numpy(np.stack(images))
    return stacked.float().div_(127.5).sub_(1.0) if stacked.dtype == torch.uint8 else stacked


class HowEncoded(TypedDict, total=False):
    """How a corpus is encoded, beside its tokenizers; what is left out is none, False or 0.

    Examples with more symbols than a `max_length` are left out, sources read backwards with `reverse_source`, images decoded with the
    `image_reader`; so many images as `corrupt_limit` may be unreadable.
    """

    source_max_length: int | None
    target_max_length: int | None
    reverse_source: bool
    image_reader: ImageReader | None
    corrupt_limit: int


def encode_corpus(
    corpus: Corpus,
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    cache: Path,
    **how: Unpack[HowEncoded],
) -> EncodedCorpus:
    """The corpus as ids: from the folder `cache` if it was encoded before in the same way, else encoded into it now.

    Where there is an image reader, a source is empty only where it has neither image nor text. Examples with an empty side, with more symbols
    than the limits, or with an image that cannot be read, are left out and counted. Raises `DataError` if none is left, where the corpus cannot
    be read or more images cannot than may, and `StorageError` if the cache cannot be written.
    """
    folder = cache / f"{FOLDER}{encoded_key(corpus, source_tokenizer, target_tokenizer, **how)}"
    found = open_encoded(folder)
    if found is not None:
        return found
    limits = (how.get("source_max_length"), how.get("target_max_length"))
    encoding = _Encoding(source_tokenizer, target_tokenizer, limits, how.get("reverse_source", False))
    try:
        with tempfile.TemporaryDirectory(prefix=".encoding-", dir=cache) as temporary:
            _write(corpus, encoding, Path(temporary), how.get("image_reader"), how.get("corrupt_limit", 0))
            _publish(Path(temporary), folder)
    except OSError as error:
        raise StorageError(f"{cache}: cannot be written ({error.strerror or error})") from error
    return EncodedCorpus(folder)


def encoded_key(
    corpus: Corpus,
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    **how: Unpack[HowEncoded],
) -> str:
    """What a corpus that is encoded so is known by: how its digest begins, and all of it where there are no images."""
    digests = (corpus.digest(), source_tokenizer.digest, target_tokenizer.digest)
    limits = (how.get("source_max_length"), how.get("target_max_length"))
    reader = how.get("image_reader")
    images = () if reader is None else (reader, how.get("corrupt_limit", 0))
    return cache_key(*digests, *limits, how.get("reverse_source", False), *images)


def open_encoded(folder: Path) -> EncodedCorpus | None:
    """What `encode_corpus` has left in a folder of its cache; None if nothing is there, nothing whole, or what has become of other images."""
    try:
        found = EncodedCorpus(folder)
        return found if found.current() else None
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
        self._corrupt: set[str] = set()
        self._symbols = [0, 0]
        self._unknown = [0, 0]

    def rows(self, corpus: Corpus, *, with_images: bool) -> Iterator[Row]:
        """The examples that are kept, each with its ids, EOS at their end."""
        report = self.report
        for example in corpus.read():
            text = example.target or ""
            source = encode_source(self.source_tokenizer, example.source, example.features, reverse=self.reverse_source)
            target = [*self.target_tokenizer.encode(text), EOS]
            lengths = (len(source) - 1, len(target) - 1)
            sourceless = not with_images and (not example.source.strip() or not lengths[0])
            if sourceless or not text.strip() or not lengths[1]:
                report.empty += 1
                report.empty_origins = _first_few(report.empty_origins, example.origin)
            elif any(limit is not None and length > limit for length, limit in zip(lengths, self.limits, strict=True)):
                report.too_long += 1
                report.too_long_origins = _first_few(report.too_long_origins, example.origin)
            else:
                yield Row(example, source, target)

    def leave_out(self, corrupt: str, limit: int) -> None:
        """Count an example whose image cannot be read, for the reason given. Raises `DataError` where there are more images than the limit."""
        self.report.corrupt += 1
        if corrupt in self._corrupt:
            return
        self._corrupt.add(corrupt)
        self.report.corrupt_different += 1
        self.report.corrupt_images = _first_few(self.report.corrupt_images, corrupt)
        if self.report.corrupt_different > limit:
            others = f" and {limit} more" if limit else ""
            raise DataError(
                f"{corrupt}{others}; mend it, or let source.image.corrupt_limit leave out more than {limit}"
            )

    def count(self, source: list[int], target: list[int]) -> None:
        """Count an example that is kept."""
        report = self.report
        report.examples += 1
        report.source_longest = max(report.source_longest, len(source) - 1)
        report.target_longest = max(report.target_longest, len(target) - 1)
        for side, ids in enumerate((source, target)):
            self._symbols[side] += len(ids) - 1
            self._unknown[side] += ids.count(UNK)
        report.source_unknown, report.target_unknown = (
            unknown / max(1, symbols) for unknown, symbols in zip(self._unknown, self._symbols, strict=True)
        )


def _write(
    corpus: Corpus, encoding: _Encoding, folder: Path, image_reader: ImageReader | None, corrupt_limit: int
) -> None:
    with ExitStack() as files:
        stream = files.enter_context(pa.OSFile(str(folder / "examples.arrow"), "wb"))
        writer = files.enter_context(pa.ipc.new_file(stream, SCHEMA))
        images = None if image_reader is None else files.enter_context(ImageWriter(folder, image_reader))
        for chunk in _chunks(encoding.rows(corpus, with_images=images is not None)):
            numbers = [NO_IMAGE] * len(chunk) if images is None else images.add([row.example for row in chunk])
            kept = []
            for row, number in zip(chunk, numbers, strict=True):
                if isinstance(number, str):
                    encoding.leave_out(number, corrupt_limit)
                else:
                    encoding.count(row.source, row.target)
                    kept.append(row._replace(image=number, example=_framed(row.example, image_reader)))
            if kept:
                writer.write_batch(_record_batch(kept))
    report = encoding.report
    if not (report.examples or report.empty or report.too_long or report.corrupt):
        raise DataError(f"{corpus.name}: has no examples")
    if not report.examples:
        raise DataError(
            f"{corpus.name}: no example is left to use: {report.empty} have an empty side, {report.too_long} are too long"
            + (f", {report.corrupt} have an image that cannot be read" if report.corrupt else "")
        )
    (folder / "report.json").write_text(json.dumps(asdict(report)), encoding="utf-8")


def _framed(example: Example, reader: ImageReader | None) -> Example:
    """The example with its boxes where the things are in the image as it is kept."""
    if reader is None or example.image is None or not example.boxes:
        return example
    return replace(example, boxes=reader.framed(example.boxes, example.image))


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = images = 0
    for row in rows:
        chunk.append(row)
        example = row.example
        size += len(example.source) + len(example.target or "") + len(row.source) + len(row.target)
        images += _bytes_of(example.image)
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_SIZE or images >= CHUNK_IMAGES:
            yield chunk
            chunk, size, images = [], 0, 0
    if chunk:
        yield chunk


def _bytes_of(image: Image | None) -> int:
    if isinstance(image, np.ndarray):
        return image.nbytes
    return len(image) if isinstance(image, bytes) else 0


def _record_batch(rows: list[Row]) -> Any:
    examples = [row.example for row in rows]
    columns = [
        text_column([example.source for example in examples]),
        text_column([example.target or "" for example in examples]),
        texts_column([example.features for example in examples]),
        text_column([example.origin for example in examples]),
        ids_column([row.source for row in rows]),
        ids_column([row.target for row in rows]),
        numbers_column([row.image for row in rows]),
        texts_column([example.references for example in examples]),
        text_column([example.group for example in examples]),
        text_column([json.dumps(example.boxes) for example in examples]),
        text_column([format_links(example.links) for example in examples]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _publish(temporary: Path, folder: Path) -> None:
    """Give what is whole its name. Another process may have done so first: then its work, which is the same, is kept."""
    whole = temporary / "whole"
    whole.mkdir()
    for name in ("examples.arrow", "report.json", ARRAYS, ABOUT):
        if (temporary / name).exists():
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
