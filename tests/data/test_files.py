"""Local files: exact lines, no conversion of values, and bad data named by file and line."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from seqcli.data.columns import Columns
from seqcli.data.corpus import Corpus
from seqcli.data.files import format_of, is_table, read_files, read_lines, read_text
from seqcli.errors import DataError


def pairs(corpus: Corpus) -> list[tuple[str, str | None]]:
    return [(example.source, example.target) for example in corpus.read()]


def message(corpus: Corpus) -> str:
    with pytest.raises(DataError) as caught:
        list(corpus.read())
    return str(caught.value)


def write(path: Path, data: str | bytes) -> str:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


WORDS = ["NA", "null", "None", "nan", "007", "1e3", "true", '"quoted"', "a,b", " spaced "]


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl"])
def test_words_that_look_like_values_stay_text(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"data.{ending}"
    rows = {
        "tsv": [f"{word}\tx{word}" for word in ["source", *WORDS]],
        "csv": ['"' + word.replace('"', '""') + '","x' + word.replace('"', '""') + '"' for word in ["source", *WORDS]],
        "jsonl": [json.dumps({"source": word, "xsource": f"x{word}"}) for word in WORDS],
    }
    write(path, "\n".join(rows[ending]) + "\n")
    assert pairs(read_files([str(path)], Columns(target="xsource"))) == [(word, f"x{word}") for word in WORDS]


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    lines = ["a\rb", "c\u2028d", "e\u0085f", "g\x0ch", "i\0j", "\ufeffk"]
    source = write(tmp_path / "s", "\ufeff" + "\n".join(lines) + "\n")
    target = write(tmp_path / "t", "\r\n".join("123456"))
    assert pairs(read_text([source], [target])) == list(zip(lines, "123456", strict=True))


def test_lines_are_counted_the_same_in_tables(tmp_path: Path) -> None:
    table = write(tmp_path / "x.tsv", "a\rb\t1\r\nc\u2028d\t2\r\n")
    assert pairs(read_files([table], Columns(source=0, target=1))) == [("a\rb", "1"), ("c\u2028d", "2")]


def test_unequal_files_name_both_and_their_counts(tmp_path: Path) -> None:
    source, target = write(tmp_path / "s", "a\nb\nc\n"), write(tmp_path / "t", "a\nb")
    for one, other in ((source, target), (target, source)):
        text = message(read_text([one], [other]))
        assert f"{source} has 3" in text
        assert f"{target} has 2" in text


def test_bytes_that_are_no_text_are_named_by_offset(tmp_path: Path) -> None:
    data = "é\n".encode() + b"ab\xffc\n"
    plain = write(tmp_path / "s", data)
    packed = write(tmp_path / "s.gz", gzip.compress(data))
    for path in (plain, packed):
        assert f"{path}:2: the byte 0xff at offset 5 " in message(read_text([path], [path]))


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_damaged_gz_file_is_told(tmp_path: Path, keep: float) -> None:
    data = gzip.compress(bytes(str(list(range(9999))), "ascii"))
    path = write(tmp_path / "s.gz", data[: int(len(data) * keep)])
    assert "damaged" in message(read_text([path], [path]))
    assert "damaged" in message(read_text([write(tmp_path / "t.gz", "no gzip at all")], [path]))


def test_a_missing_column_lists_those_there_are(tmp_path: Path) -> None:
    table = write(tmp_path / "x.tsv", "en\tde\na\tb\n")
    assert (
        message(read_files([table], Columns(source="en")))
        == f"{table}:1: there is no column 'target'; there are: en, de"
    )
    lines = write(tmp_path / "x.jsonl", '{"translation": {"en": "a", "de": "b"}}\n')
    assert "there are: en, de" in message(
        read_files([lines], Columns(source="translation.en", target="translation.fr"))
    )
    assert pairs(read_files([lines], Columns(source="translation.en", target="translation.de"))) == [("a", "b")]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("x.tsv", "source\ttarget\na\tb\nc\n", ":3: has 1 columns where 2 are needed"),
        ("x.tsv", "source\ttarget\na\tb\tc\n", ":2: has 3 columns where 2 are needed"),
        ("x.tsv", "source\tsource\ttarget\n", ":1: there are 2 columns called 'source'"),
        ("x.csv", 'source,target\na,b\n"c,d\n', ":3: the row that starts here is not valid CSV"),
        ("x.csv", "source,target\na\rb,c\n", ":2: the row that starts here is not valid CSV"),
        ("x.jsonl", '{"source": "a", "target": "b"}\n{"source"\n', ":2: is no JSON"),
        (
            "x.jsonl",
            '{"source": "a", "target": "b"}\n{"source"\n',
            ":2: is no JSON (Expecting ':' delimiter at column 10): {",
        ),
        (
            "x.jsonl",
            '{"source": 1,}\x1b[31m\n',
            ":1: is no JSON (Expecting property name enclosed in double quotes at column 14): {",
        ),
        ("x.jsonl", "[1]\n", ":1: is no JSON object with columns; write one object a line, as in jq -c '.[]': [1]"),
        (
            "x.json",
            '[\n  {"source": "a"}\n]\n',
            ":1: is no JSON (Expecting value at column 2; write one object a line, as in jq -c '.[]'): [",
        ),
        (
            "x.json",
            '{\n  "source": "a"\n}\n',
            ":1: is no JSON (Expecting property name enclosed in double quotes at column 2; write one",
        ),
        ("x.tsv", "", ":1: there is no column 'source'; the file is empty"),
        ("x.csv", "\n\n", ":1: there is no column 'source'; the file is empty"),
        ("x.tsv", "\n\nsource\tx\n", ":3: there is no column 'target'; there are: source, x"),
        ("x.jsonl", "[" * 100_000, ":1: is no JSON"),
        ("x.jsonl", '{"source": 7, "target": "b"}\n', ":1: column 'source' holds 7, but a text is needed"),
        ("x.jsonl", '{"source": "\\ud800", "target": "b"}\n', ":1: column 'source' holds half a surrogate pair"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, name: str, data: str, told: str) -> None:
    path = write(tmp_path / name, data)
    said = message(read_files([path]))
    assert said.startswith(path + told)
    assert said.isprintable()


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert "no such file" in message(read_files([str(tmp_path / "*.tsv")]))
    assert "is a folder; name the files in it" in message(read_text([str(tmp_path)], [str(tmp_path)]))
    os.mkfifo(tmp_path / "pipe.tsv")
    assert "pipe.tsv: is no file, but a pipe" in message(read_files([str(tmp_path / "*.tsv")]))
    with pytest.raises(DataError, match="cannot tell the format"):
        read_files(["data.xls"])
    with pytest.raises(DataError, match="is a number"):
        read_files(["data.jsonl"], Columns(source=0))


@pytest.mark.parametrize("name", ["turkish-train", "pairs.txt", "PAIRS.TSV"])
def test_a_name_that_says_nothing_is_tsv_where_there_is_a_tab(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "a\tb\n")
    assert [example.target for example in read_files([path], Columns(source=0, target=1)).read()] == ["b"]
    with pytest.raises(DataError, match="cannot tell the format"):
        read_files([write(tmp_path / "empty", "")])
    with pytest.raises(DataError, match="cannot tell the format"):
        read_files([write(tmp_path / "blanks", "a b\nc\td\n")])


def test_several_files_follow_each_other(tmp_path: Path) -> None:
    for name in "ba":
        write(tmp_path / f"{name}.tsv", f"{name}1\tx\n{name}2\ty\n")
    corpus = read_files([str(tmp_path / "*.tsv")], Columns(source=0, target=1))
    examples = list(corpus.read())
    assert [example.source for example in examples] == ["a1", "a2", "b1", "b2"]
    assert [example.index for example in examples] == [0, 1, 2, 3]
    assert examples[3].origin == f"{tmp_path / 'b.tsv'}:2"
    assert [example.source for example in corpus.first(3).read()] == ["a1", "a2", "b1"]


def test_a_row_of_csv_may_have_many_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", 'source,target\n"a\nb",c\n\nd,"e"\n')
    assert [(e.source, e.origin) for e in read_files([path]).read()] == [("a\nb", f"{path}:2"), ("d", f"{path}:5")]


def test_a_line_may_be_long(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", f"source,target\n{'a' * 1_000_000},b\n")
    assert len(pairs(read_files([path]))[0][0]) == 1_000_000


def test_null_is_an_empty_text(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", '{"source": null, "target": "b"}\n')
    assert pairs(read_files([path])) == [("", "b")]


def test_features(tmp_path: Path) -> None:
    table = write(tmp_path / "x.tsv", "a\tb\tN;PL\nc\td\t\n")
    lines = write(tmp_path / "x.jsonl", '{"source": "a", "target": "b", "tags": ["N", "PL"]}\n')
    assert [e.features for e in read_files([table], Columns(source=0, target=1, features=2)).read()] == [
        ("N", "PL"),
        (),
    ]
    assert [e.features for e in read_files([lines], Columns(features="tags")).read()] == [("N", "PL")]


def test_lines_with_a_pattern(tmp_path: Path, shared_data: Path) -> None:
    corpus = read_lines([str(shared_data / "scan" / "simple_test.txt")], r"IN: (?P<source>.*) OUT: (?P<target>.*)")
    examples = list(corpus.read())
    assert len(examples) == 4182
    assert examples[0].source.startswith("turn opposite right thrice")
    assert examples[0].target is not None
    assert examples[0].target.startswith("I_TURN_RIGHT I_TURN")
    path = write(tmp_path / "x", "IN: a OUT: b\n\nIN a\n")
    assert message(read_lines([path], r"IN: (?P<source>.*) OUT: (?P<target>.*)")).startswith(f"{path}:3: the pattern")
    for pattern, told in (("(", "is no regular expression"), ("(?P<source>.)", "lacks a group")):
        with pytest.raises(DataError, match=told):
            read_lines([path], pattern)


def test_the_digest_follows_the_bytes_and_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", "a\tb\n")
    corpus = read_files([path], Columns(source=0, target=1))
    before = corpus.digest()
    other = read_files([path], Columns(source=1, target=0)).digest()
    stat = (tmp_path / "x.tsv").stat()
    assert before == read_files([path], Columns(source=0, target=1)).digest()
    write(tmp_path / "x.tsv", "a\tc\n")
    assert stat.st_size == (tmp_path / "x.tsv").stat().st_size
    (tmp_path / "y.tsv").write_bytes((tmp_path / "x.tsv").read_bytes())
    moved = read_files([str(tmp_path / "y.tsv")], Columns(source=0, target=1)).digest()
    assert len({before, other, moved, corpus.digest(), corpus.first(1).digest()}) == 5


def test_every_real_table_can_be_read(shared_data: Path) -> None:
    counts = {}
    for path in sorted(shared_data.glob("g2p/*.tsv")) + sorted(shared_data.glob("inflection/*.tsv")):
        features = 2 if path.parent.name == "inflection" else None
        counts[path.name] = len(list(read_files([str(path)], Columns(source=0, target=1, features=features)).read()))
    assert len(counts) == 15
    assert counts["hun_train.tsv"] == 8000
    assert counts["turkish_dev.tsv"] == 1000


def test_what_a_name_says_of_the_format() -> None:
    named = {"a.TSV": "tsv", "a.csv.GZ": "csv", "A.Json": "jsonl", "a.ndjson.gz": "jsonl", "a.PARQUET": "parquet"}
    assert {name: format_of([name]) for name in named} == named
    assert all(map(is_table, named))
    assert not any(map(is_table, ["a.txt", "a.yaml", "tsv", "a.gz"]))
