"""A corpus: one split of a data set, as pairs of text that can be read as often as one likes.

This file has the noun, and the readers that go through Hugging Face `datasets` (the hub, `save_to_disk` folders, Parquet);
`files` reads text, TSV, CSV and JSON lines, and `builtin` makes data of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from seqcli.data.columns import Columns
from seqcli.data.lines import digest_files, existing, find_files
from seqcli.errors import DataError
from seqcli.symbols import Example

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""The three parts of a data set: what is learnt from, what is watched while learning, what is scored at the end."""


def _what_is_asked(example: Example) -> tuple[object, str]:
    image = example.image
    return (image.tobytes() if isinstance(image, np.ndarray) else image, example.source)


ROWS_AT_ONCE = 1000
"""Rows of a Parquet file that are in memory."""
COLUMNS = Columns()
"""A column called source and one called target."""


@dataclass(frozen=True)
class Corpus:
    """One split of a data set.

    `name` says what it is, for messages; `read()` starts a fresh pass over its examples, and raises `DataError` where they
    cannot be read as described; `digest()` is a text that changes whenever the examples do.
    """

    name: str
    read: Callable[[], Iterator[Example]]
    digest: Callable[[], str]

    def each_reference(self) -> Corpus:
        """The corpus where an example that several people have answered is as many examples."""

        def read() -> Iterator[Example]:
            index = 0
            for example in self.read():
                for target in dict.fromkeys(example.references) or (example.target,):
                    # boxes and links are about the symbols of one of them
                    boxes, links = (example.boxes, example.links) if target == example.target else ((), ())
                    yield replace(example, target=target, references=(), index=index, boxes=boxes, links=links)
                    index += 1

        return Corpus(self.name, read, lambda: f"{self.digest()}, each reference")

    def with_all_references(self) -> Corpus:
        """The corpus where examples one after the other with the same source are one, and what they answer its references."""

        def read() -> Iterator[Example]:
            same = itertools.groupby(self.read(), key=_what_is_asked)
            for index, (_, group) in enumerate(same):
                first, *others = group
                answers = [answer for one in (first, *others) for answer in one.references or (one.target or "",)]
                yield replace(first, index=index, references=tuple(answers) if len(answers) > 1 else ())

        return Corpus(self.name, read, lambda: f"{self.digest()}, all references")

    def first(self, limit: int) -> Corpus:
        """The corpus of the first `limit` examples."""
        return Corpus(
            self.name,
            lambda: itertools.islice(self.read(), limit),
            lambda: f"{self.digest()}, first {limit}",
        )


def read_hub(
    name: str,
    columns: Columns = COLUMNS,
    *,
    split: str,
    config: str | None = None,
    revision: str | None = None,
    split_column: str | None = None,
    streaming: bool = False,
) -> Corpus:
    """One split of a data set of the Hugging Face hub, or of a local folder laid out like one.

    Paths to images are seen from the local folder. Where there is a `split_column`, the split is the rows, of all splits of the data set,
    that have `split` in it. With `streaming` the data set itself is not stored on this machine; a local folder is never copied.
    """
    if split_column is not None:
        columns = replace(columns, where=(*columns.where, (split_column, split)))
    columns.check_names()
    folder = Path(name)
    local = folder.is_dir()

    def builder() -> Any:
        return _explained(name, lambda: _datasets().load_dataset_builder(name, config, revision=revision))

    def open_split() -> Any:
        built = builder()
        if split_column is None:
            _known_split(name, split, built.info.splits)
            return opened(built, split)
        return _datasets().concatenate_datasets(list(opened(built, None).values()))

    def opened(built: Any, wanted: str | None) -> Any:
        if streaming or local:
            return built.as_streaming_dataset(wanted)
        built.download_and_prepare()
        return built.as_dataset(wanted)

    def digest() -> str:
        if local:
            return digest_files(_files_in(folder), "hub", config, split, columns)
        built = builder()
        return f"hub {name} {built.config.name} {built.hash} {split} {columns}"

    def read() -> Iterator[Example]:
        return _rows(name, open_split, columns, folder=folder if local else None)

    return Corpus(f"{name} ({split})", read, digest)


def read_disk(path: str, columns: Columns = COLUMNS, *, split: str) -> Corpus:
    """One split of a folder that `datasets` has written with `save_to_disk`; a folder of one single split is that split."""
    columns.check_names()
    folder = Path(path)

    def open_split() -> Any:
        if not folder.is_dir():
            raise DataError(f"{path}: there is no such folder (seen from {Path.cwd()})")
        saved = _datasets().load_from_disk(path)
        if not isinstance(saved, dict):
            return saved
        _known_split(path, split, saved)
        return saved[split]

    def digest() -> str:
        return digest_files(_files_in(folder), "disk", split, columns)

    return Corpus(f"{path} ({split})", lambda: _rows(path, open_split, columns, folder=folder), digest)


def read_parquet(paths: Sequence[str], columns: Columns) -> Corpus:
    """Parquet files, one after the other. `files.read_files` is the way in."""

    def open_file(path: Path) -> Any:
        # Streamed, because the cache of `datasets` knows a file by size and time only and can give an older text back.
        # Its own batches are row groups, and one of no rows it refuses.
        return _datasets().load_dataset(
            "parquet", data_files=[str(path)], split="train", streaming=True, batch_size=ROWS_AT_ONCE
        )

    def read() -> Iterator[Example]:
        index = 0
        for path in find_files(paths):
            for example in _rows(str(path), partial(open_file, path), columns, index, path.parent):
                yield example
                index += 1

    def digest() -> str:
        files = find_files(paths)
        named = (name for path in files for name in _named_images(path, columns))
        return digest_files([*files, *existing(named)], "parquet", columns)

    return Corpus(", ".join(paths), read, digest)


def _named_images(path: Path, columns: Columns) -> list[str]:
    """The paths of the images of a Parquet file that has them by path; nothing where it cannot be read, which reading it will tell."""
    if columns.image is None:
        return []
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = str(columns.image)
    try:
        schema = pq.read_schema(path)
        if column not in schema.names or not pa.types.is_string(schema.field(column).type):
            return []
        return [str(path.parent / name) for name in pq.read_table(path, columns=[column])[column].to_pylist() if name]
    except (pa.ArrowInvalid, OSError):
        return []


def _datasets() -> Any:
    """The library, kept quiet. It takes seconds to import, so it is imported when a corpus needs it and not before."""
    import datasets

    datasets.disable_progress_bars()
    # what it logs of an error stands in ours
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    return datasets


def _rows(
    name: str, open_split: Callable[[], Any], columns: Columns, index: int = 0, folder: Path | None = None
) -> Iterator[Example]:
    """The examples of a `datasets` object, counted from `index`; the columns that are not needed are never decoded."""
    rows = iter(_needed(_explained(name, open_split), name, columns))
    for number in itertools.count(1):
        row = _explained(name, lambda: next(rows, None))
        if row is None:
            return
        origin = f"{name}:{number}"
        if columns.chooses(row, origin):
            yield columns.example(_explained(name, partial(_with_image, row, columns)), index, origin, folder)
            index += 1


def _needed(dataset: Any, name: str, columns: Columns) -> Any:
    """The `datasets` object with the columns that are read alone; its images are left as they are stored."""
    present = dataset.column_names
    if present is not None:
        columns.check(present, name)
        dataset = dataset.select_columns([column for column in present if column in columns.top_level(present)])
    image = dataset.features and dataset.features.get(str(columns.image))
    if isinstance(image, _datasets().Image):
        dataset = dataset.cast_column(str(columns.image), _datasets().Image(decode=False))
    return dataset


def _with_image(row: Any, columns: Columns) -> Any:
    """The row, its image in it where it is but named: in an archive, or on the hub."""
    image = row and row.get(str(columns.image))
    if not isinstance(image, dict) or image.get("bytes") or "://" not in (image.get("path") or ""):
        return row
    from datasets.utils.file_utils import xopen

    with xopen(image["path"], "rb") as stream:
        return {**row, str(columns.image): stream.read()}


def _explained(name: str, call: Callable[[], Any]) -> Any:
    """What `call` returns; whatever `datasets` raises (it has no error class of its own) becomes one sentence."""
    try:
        return call()
    except DataError:
        raise
    except Exception as error:
        # The useful line is often that of the error underneath.
        reason = str(error.__cause__ or error).strip() or type(error).__name__
        raise DataError(f"{name}: cannot be read ({reason.splitlines()[0]})") from error


def _known_split(name: str, split: str, splits: Iterable[str] | None) -> None:
    if splits is not None and split not in splits:
        raise DataError(f"{name}: has no split {split!r}; there are: {', '.join(splits)}")


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
