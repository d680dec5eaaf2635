"""Whatever has happened to a file of data, it is read, or refused with a `DataError` that names the file."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from seqcli.data.columns import Columns
from seqcli.data.corpus import Corpus
from seqcli.data.files import read_files, read_lines, read_text
from seqcli.errors import DataError

EXAMPLES = int(os.environ.get("SEQCLI_TEST_EXAMPLES", 300)) // 20
"""Mutations of each of eight formats."""

PAIRS = [("ein Hund", "a dog"), ('"quer", sagt er', "across, he says"), ("Straße\u2028", "street"), ("NA", "007")] * 5
PIECES = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b'"',
    b"\t",
    b",",
    b"{",
    b"}",
    b"null",
    b"[]",
    b"\xe2\x80",
    b"x" * 70000,
]


def parquet(pairs: list[tuple[str, str]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(pa.table({"s": [pair[0] for pair in pairs], "t": [pair[1] for pair in pairs]}), content)
    return content.getvalue()


def joined(pattern: str) -> bytes:
    return "".join(pattern.format(source, target) for source, target in PAIRS).encode()


def table(path: Path) -> Corpus:
    return read_files([str(path)], Columns(source="s", target="t"))


TSV = b"s\tt\n" + joined("{}\t{}\n")
FORMATS: dict[str, tuple[bytes, Callable[[Path], Corpus]]] = {
    "x.tsv": (TSV, table),
    "x.tsv.gz": (gzip.compress(TSV), table),
    "x.csv": (b"s,t\n" + b"".join(f'"{s}","{t}"\n'.encode() for s, t in PAIRS[:1]) + b'"a ""b""",c\n', table),
    "x.jsonl": (b"".join(json.dumps({"s": s, "t": t}).encode() + b"\n" for s, t in PAIRS), table),
    "x.parquet": (parquet(PAIRS), table),
    "x.de": (joined("{}\n"), lambda path: read_text([str(path)], [str(path.with_suffix(".en"))])),
    "x.de.gz": (gzip.compress(joined("{}\n")), lambda path: read_text([str(path)], [str(path.with_name("x.en"))])),
    "x.txt": (
        joined("IN: {} OUT: {}\n"),
        lambda path: read_lines([str(path)], "IN: (?P<source>.*) OUT: (?P<target>.*)"),
    ),
}


def mutated(content: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.randint(1, 3)):
        start = draw.randrange(len(content) + 1)
        end = min(len(content), start + draw.choice([0, 0, 1, 3, 40]))
        content = content[:start] + draw.choice([b"", draw.randbytes(2), *PIECES]) + content[end:]
    return content


@pytest.mark.parametrize("name", FORMATS)
def test_any_mutation_of_a_file(name: str, tmp_path: Path) -> None:
    content, read = FORMATS[name]
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    # the other side of parallel text stays as it is
    (tmp_path / "x.en").write_bytes(joined("{}\n"))
    path = tmp_path / name
    path.write_bytes(content)
    assert list(read(path).read()), "the file is good as it is"
    refusals: list[str] = []
    for _ in range(EXAMPLES):
        path.write_bytes(mutated(content, draw))
        try:
            for example in read(path).read():
                assert isinstance(example.source, str)
        except DataError as error:
            refusals.append(str(error))
    assert refusals, "no mutation did any harm: then this test shows nothing"
    assert [text for text in refusals if str(tmp_path) not in text or "\n" in text] == []
