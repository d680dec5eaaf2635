"""The same 1,000 pairs of Multi30k in every format give the same batches."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from seqcli.data.batching import plan_batches
from seqcli.data.columns import Columns
from seqcli.data.corpus import Corpus, read_disk, read_hub
from seqcli.data.encoded import encode_corpus
from seqcli.data.files import read_files, read_lines, read_text
from seqcli.data.vocabulary import learn_words
from seqcli.errors import DataError

Pair = tuple[str, str]


def table_text(pairs: list[Pair], ending: str) -> str:
    if ending == "tsv":
        return "".join(f"{source}\t{target}\n" for source, target in [("en", "de"), *pairs])
    if ending == "jsonl":
        rows = ({"en": source, "de": target} for source, target in pairs)
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    text = io.StringIO()
    csv.writer(text).writerows([("en", "de"), *pairs])
    return text.getvalue()


def as_table(ending: str) -> Callable[[Path, list[Pair]], Corpus]:
    def write(folder: Path, pairs: list[Pair]) -> Corpus:
        data = table_text(pairs, ending.removesuffix(".gz")).encode()
        path = folder / f"data.{ending}"
        path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
        return read_files([str(path)], Columns(source="en", target="de"))

    return write


def as_text(ending: str) -> Callable[[Path, list[Pair]], Corpus]:
    def write(folder: Path, pairs: list[Pair]) -> Corpus:
        for side in (0, 1):
            data = "".join(pair[side] + "\n" for pair in pairs).encode()
            (folder / f"{side}{ending}").write_bytes(gzip.compress(data) if ending else data)
        return read_text([str(folder / f"0{ending}")], [str(folder / f"1{ending}")])

    return write


def as_lines(folder: Path, pairs: list[Pair]) -> Corpus:
    (folder / "x").write_text("".join(f"IN: {source} OUT: {target}\n" for source, target in pairs), encoding="utf-8")
    return read_lines([str(folder / "x")], "IN: (?P<source>.*) OUT: (?P<target>.*)")


def as_parquet(folder: Path, pairs: list[Pair]) -> Corpus:
    save_parquet(folder / "x.parquet", pairs)
    return read_files([str(folder / "x.parquet")], Columns(source="en", target="de"))


def as_hub_folder(folder: Path, pairs: list[Pair]) -> Corpus:
    """The shape of WMT: one column, with the languages nested in it."""
    (folder / "data").mkdir()
    save_parquet(folder / "data" / "test-00000-of-00001.parquet", pairs[:3])
    save_parquet(folder / "data" / "train-00000-of-00002.parquet", pairs[:600], nested=True)
    save_parquet(folder / "data" / "train-00001-of-00002.parquet", pairs[600:], nested=True)
    (folder / "data" / "test-00000-of-00001.parquet").unlink()
    return read_hub(
        str(folder), Columns(source="translation.en", target="translation.de"), split="train", streaming=True
    )


def as_disk(folder: Path, pairs: list[Pair]) -> Corpus:
    import datasets

    rows = {"en": [pair[0] for pair in pairs], "de": [pair[1] for pair in pairs], "id": list(range(len(pairs)))}
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows)}).save_to_disk(str(folder / "saved"))
    return read_disk(str(folder / "saved"), Columns(source="en", target="de"), split="train")


def save_parquet(path: Path, pairs: list[Pair], nested: bool = False) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"en": source, "de": target, "id": 7} for source, target in pairs]
    pq.write_table(pa.Table.from_pylist([{"translation": row} for row in rows] if nested else rows), path)


FORMATS: dict[str, Callable[[Path, list[Pair]], Corpus]] = {
    **{ending: as_table(ending) for ending in ("tsv", "csv", "jsonl", "tsv.gz", "csv.gz", "jsonl.gz")},
    "text": as_text(""),
    "text.gz": as_text(".gz"),
    "lines": as_lines,
    "parquet": as_parquet,
    "hub": as_hub_folder,
    "disk": as_disk,
}


@pytest.fixture(scope="module")
def multi30k_pairs(shared_data: Path) -> list[Pair]:
    sides = [(shared_data / "multi30k" / f"val.raw.{side}").read_text(encoding="utf-8") for side in ("en", "de")]
    pairs = list(zip(sides[0].split("\n"), sides[1].split("\n"), strict=True))[:1000]
    assert len(pairs) == 1000
    return pairs


def batches(corpus: Corpus, cache: Path) -> list[torch.Tensor]:
    source = learn_words((example.source for example in corpus.read()), min_frequency=2)
    target = learn_words((example.target or "" for example in corpus.read()), min_frequency=2)
    encoded = encode_corpus(corpus, source, target, cache)
    assert len(encoded) == 1000
    lengths = encoded.source_lengths, encoded.target_lengths
    plan = plan_batches(*lengths, batch_tokens=1024, batch_sentences=None, seed=1, epoch=2)
    made = [encoded.batch(rows) for rows in plan]
    return [tensor for batch in made for tensor in (batch.source, batch.inputs, batch.labels, batch.index)]


@pytest.fixture(scope="module")
def expected(multi30k_pairs: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> list[torch.Tensor]:
    folder = tmp_path_factory.mktemp("expected")
    return batches(as_text("")(folder, multi30k_pairs), folder)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_batches(
    name: str, multi30k_pairs: list[Pair], expected: list[torch.Tensor], tmp_path: Path
) -> None:
    found = batches(FORMATS[name](tmp_path, multi30k_pairs), tmp_path)
    assert len(found) == len(expected) > 40
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_words_in_parquet_stay_text(tmp_path: Path) -> None:
    pairs = [(word, word) for word in ("NA", "null", "007", "nan", "")]
    corpus = as_parquet(tmp_path, pairs)
    assert [(example.source, example.target) for example in corpus.read()] == pairs


def test_changed_parquet_is_read_anew_even_if_size_and_time_are_the_same(tmp_path: Path) -> None:
    import os

    corpus = as_parquet(tmp_path, [("aaaa", "b")])
    path, digest = tmp_path / "x.parquet", corpus.digest()
    before = path.stat()
    assert [example.source for example in corpus.read()] == ["aaaa"]
    save_parquet(path, [("cccc", "b")])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert [example.source for example in corpus.read()] == ["cccc"]
    assert corpus.digest() != digest


def test_origins_name_file_and_row(tmp_path: Path) -> None:
    assert [e.origin for e in as_parquet(tmp_path, [("a", "b"), ("c", "d")]).read()] == [
        f"{tmp_path / 'x.parquet'}:1",
        f"{tmp_path / 'x.parquet'}:2",
    ]


@pytest.mark.parametrize(
    ("corpus", "told"),
    [
        (lambda folder: read_disk(str(folder / "saved"), split="dev"), "has no split 'dev'; there are: train"),
        (lambda folder: read_disk(str(folder / "saved"), split="train"), "no column 'source'; there are: en, de, id"),
        (
            lambda folder: read_disk(str(folder / "saved"), Columns(source="id", target="en"), split="train"),
            "column 'id' holds 0, but a text is needed",
        ),
        (lambda folder: read_disk(str(folder / "gone"), split="train"), "no such folder"),
        (lambda folder: read_files([str(folder / "bad.parquet")]), "bad.parquet: cannot be read"),
        (lambda folder: read_hub(str(folder / "empty"), split="train"), "cannot be read"),
    ],
)
def test_what_datasets_cannot_read_is_told_in_a_sentence(
    corpus: Callable[[Path], Corpus], told: str, tmp_path: Path
) -> None:
    as_disk(tmp_path, [("a", "b")])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        list(corpus(tmp_path).read())
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_beside_the_text_are_not_decoded(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(datasets.Image, "decode_example", refuse)
    path = str(shared_data / "digits" / "test.parquet")
    examples = list(read_files([path], Columns(source="text", target="text")).read())
    assert len(examples) == 1000
    assert all(example.source.isdigit() for example in examples)


def test_a_hub_folder_on_this_machine_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, multi30k_pairs: list[Pair]
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    (tmp_path / "set").mkdir()
    corpus = as_hub_folder(tmp_path / "set", multi30k_pairs)
    assert sum(1 for _ in corpus.read()) == 1000
    assert not [path for path in (tmp_path / "hf").rglob("*") if path.suffix == ".arrow"]
    digest = corpus.digest()
    shutil.copy(tmp_path / "set" / "data" / "train-00001-of-00002.parquet", tmp_path / "set" / "data" / "more.parquet")
    assert corpus.digest() != digest


def test_random_rows_of_an_encoded_corpus_are_those_of_the_file(multi30k_pairs: list[Pair], tmp_path: Path) -> None:
    corpus = FORMATS["tsv"](tmp_path, multi30k_pairs)
    tokenizer = learn_words(side for pair in multi30k_pairs for side in pair)
    encoded = encode_corpus(corpus, tokenizer, tokenizer, tmp_path)
    for row in np.random.default_rng(0).integers(0, 1000, 50):
        example = encoded.example(int(row))
        assert (example.source, example.target) == multi30k_pairs[row]
