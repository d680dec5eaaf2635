"""The rows that a diagnosis sees are those that training reads, and where training stops it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqcli.data.columns import Columns
from seqcli.data.files import read_files
from seqcli.diagnosis.rows import Row, Rows, pattern_rows, table_rows, text_rows
from seqcli.errors import DataError

NUMBERED = Columns(0, 1)


def written(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def mended(rows: Rows, row: Row, source: str, target: str) -> tuple[bytes, ...] | None:
    assert rows.rewritten is not None
    return rows.rewritten(row, source, target)


def table(folder: Path, content: str | bytes, columns: Columns = NUMBERED, format: str = "csv") -> Rows:
    return table_rows([written(folder, f"pairs.{format}", content)], columns, format)


@pytest.mark.parametrize(
    "content",
    [
        'a 5" pipe,b\n' + "".join(f"x{n},y{n}\n" for n in range(50)),
        'a,5" pipe\n"b, c","d ""e"" f"\n"two\nlines","more\r\nlines"\ng," h"\n',
        '"a","b"\r\n\r\nc,d\r\n',
        '\ufeff"a",b\nc,d',
        '"a\rb",c\nd,e\n',
    ],
)
def test_csv_has_the_rows_that_training_reads(tmp_path: Path, content: str) -> None:
    found = list(table(tmp_path, content))
    assert all(row.trouble is None for row in found)
    read = read_files([str(tmp_path / "pairs.csv")], NUMBERED).read()
    assert [(row.source, row.target, f"{row.file}:{row.line}") for row in found] == [
        (example.source, example.target, example.origin) for example in read
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('a,b\n"c" d,e\nf,g\n', {2: "',' expected after '\"'"}),
        ("a,b\nc\rd,e\nf,g\n", {2: "new-line character"}),
        # a quotation mark that is never closed is one row's fault
        ('a,b\n"c,d\ne,f\ng,h\n', {2: "unexpected end of data"}),
        ('a,b\nc\n"d,e\n', {2: "has 1 columns where 2 are needed", 3: "unexpected end of data"}),
        (b"a,b\nStra\xdfe,street\n", {2: "0xdf in Stra"}),
    ],
)
def test_csv_that_cannot_be_read(tmp_path: Path, content: str | bytes, told: dict[int, str]) -> None:
    rows = list(table(tmp_path, content))
    assert {row.line for row in rows if row.trouble} == set(told)
    for row in rows:
        assert row.trouble is None or told[row.line] in row.trouble[1]
    assert b"".join(row.raw[0] for row in rows) == (tmp_path / "pairs.csv").read_bytes()


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_the_header_is_the_first_line_that_is_not_blank(tmp_path: Path, format: str) -> None:
    tab = "," if format == "csv" else "\t"
    names = Columns("source", "target")
    rows = table(tmp_path, f"\n\nn{tab}source{tab}target\n1{tab}a{tab}b\n", names, format)
    (row,) = rows
    assert (row.source, row.target, row.line) == ("a", "b", 4)
    assert [example.source for example in read_files([row.file], names).read()] == ["a"]
    assert mended(rows, row, "a", "c") == (f"1{tab}a{tab}c\n".encode(),)
    raw = b"".join(each.raw[0] for each in rows.read(rows.files()[0]))
    assert raw == (tmp_path / f"pairs.{format}").read_bytes()


def test_a_header_of_several_lines(tmp_path: Path) -> None:
    rows = table(tmp_path, '"two\nlines",source,target\n1,a,b\n', Columns())
    (row,) = rows
    assert (row.source, row.target, row.line) == ("a", "b", 3)
    assert mended(rows, row, "c", "b") == (b"1,c,b\n",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "pairs.csv:1: there is no column 'source'; the file is empty"),
        ("\n\n", "pairs.csv:1: there is no column 'source'; the file is empty"),
        ("a,b\n", "pairs.csv:1: there is no column 'source'; there are: a, b"),
        ('"a" b,c\n', "pairs.csv:1: the row with the names of the columns is not valid CSV"),
        (b"\xe4,source,target\n", "pairs.csv:1: the names of the columns are not UTF-8"),
    ],
)
def test_headers_that_cannot_be_read(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(DataError) as refused:
        list(table(tmp_path, content, Columns()))
    assert told in str(refused.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_mended_line_ends_as_it_did(tmp_path: Path, end: str) -> None:
    for format, content in (("tsv", "a\tb"), ("csv", "a,b")):
        rows = table(tmp_path, content + end, format=format)
        assert mended(rows, next(iter(rows)), "c", "b") == (content.replace("a", "c").encode() + end.encode(),)
    rows = text_rows([written(tmp_path, "a", f"x\ty{end}")], [written(tmp_path, "b", f"c{end}")])
    (row,) = rows
    # and of a side that has no fault nothing is changed
    assert mended(rows, row, "x\ty", "d e") == (f"x\ty{end}".encode(), f"d e{end}".encode())
    assert mended(rows, row, "x\tz", "c") == (f"x\tz{end}".encode(), f"c{end}".encode())


def test_what_is_mended_stays_one_row(tmp_path: Path) -> None:
    path = written(tmp_path, "lines.txt", "IN: a OUT: b\n")
    rows = pattern_rows([path], "IN: (?P<source>.*) OUT: (?P<target>.*)", Columns())
    (row,) = rows
    assert mended(rows, row, "a\nc", "b\td") == (b"IN: a c OUT: b d\n",)
    assert mended(rows, row, "a", "c OUT: d") is None
    rows = table(tmp_path, "a\tb\n", format="tsv")
    assert mended(rows, next(iter(rows)), "a\nc", "d\te") == (b"a c\td e\n",)
    rows = table(tmp_path, '"a\nb",c\n')
    assert mended(rows, next(iter(rows)), "a\nb", "d") == (b'"a\nb",d\n',)


@pytest.mark.parametrize(
    ("line", "columns", "old", "new"),
    [
        ('{"s": "a", "t": "b"}', Columns("s", "t"), "b", '{"s": "a", "t": "c"}'),
        ('{"s": "a", "t": ["b", "d"]}', Columns("s", "t"), "b", None),
        ('{"s": "a", "t": ["b"]}', Columns("s", "t"), "b", None),
        ('{"s": "a", "answers": [{"t": "b"}, {"t": "d"}]}', Columns("s", "answers.t"), "b", None),
        ('{"s": "a", "t": {"en": "b"}}', Columns("s", "t.en"), "b", '{"s": "a", "t": {"en": "c"}}'),
        ('{"s": "a", "t.en": "b", "t": {"en": "x"}}', Columns("s", "t.en"), "b", '{"s": "a", "t.en": "c", "t": {"en": "x"}}'),
        ('{"s": "a", "t": null, "u": "b"}', Columns("s", ("t", "u")), "b", '{"s": "a", "t": null, "u": "c"}'),
        ('{"s": "a", "t": "b", "u": "d"}', Columns("s", ("t", "u")), "b", '{"s": "a", "t": "c", "u": "d"}'),
        # what is not read may be what cannot be written
        ('{"s": "a", "t": "b", "n": "\\ud800"}', Columns("s", "t"), "b", '{"s": "a", "t": "c", "n": "\\ud800"}'),
    ],
)  # fmt: skip
def test_only_a_cell_that_is_the_text_is_mended(
    tmp_path: Path, line: str, columns: Columns, old: str, new: str | None
) -> None:
    rows = table(tmp_path, f"{line}\n", columns, "jsonl")
    (row,) = rows
    assert row.target == old
    assert mended(rows, row, "a", "c") == (None if new is None else (f"{new}\n".encode(),))
